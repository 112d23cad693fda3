"""The command `datapath-probe`: run the operator, show what it found, replay what it saved.

Called by people and by the Deployment. Each command imports what it needs when it runs, so that `replay` needs
no cluster's libraries and starts at once.
"""
