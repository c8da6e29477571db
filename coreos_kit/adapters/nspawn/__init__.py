"""The lab: real machines in systemd-nspawn on this workstation.

`state` reads a lab that is there (cheap to import); `lab` makes one, breaks it and takes it away.
"""
