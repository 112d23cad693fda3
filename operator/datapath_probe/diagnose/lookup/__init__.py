"""Lookups that several checks share: the frontend of a Service, the programs attached to a device."""
