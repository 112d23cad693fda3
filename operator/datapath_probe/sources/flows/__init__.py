"""Events of packets, from Hubble and `cilium-dbg monitor` → typed records. Called by `diagnose`."""
