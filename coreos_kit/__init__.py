"""coreos-kit: templates, sidekicks and a balancer that follows, on fleet or on plain systemd."""

__version__ = "0.1.0"
