"""Scripts for what no tool of the agent's image tells: run by its perl, which Ubuntu and Debian images always have."""
