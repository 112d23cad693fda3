"""What each defect of each hop does to packets: one table, read by checks and by the rules of the verdict alike.

A check names the defects that it found. The table says what they do, at which stage packets leave their last trace,
and as what that may show at another hop.
"""
