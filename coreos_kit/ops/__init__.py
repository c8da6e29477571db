"""One verb a module. Handed ports; never imports an adapter."""
