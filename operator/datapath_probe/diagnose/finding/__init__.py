"""What a check can say: statements of witnesses, findings, the diagnosis; and how a check reads evidence."""
