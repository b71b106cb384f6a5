"""Stand-ins that run on this machine: a Soniox server, a phone, an application; the service itself never imports them."""
