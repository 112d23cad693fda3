"""Events of packets: Hubble, `cilium-dbg monitor`, drop reasons. Facts in, typed records out."""
