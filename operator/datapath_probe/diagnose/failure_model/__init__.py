"""What each defect of each hop does to packets: one table for checks and for the rules of the verdict.

A check names the defects that it found. The table says what they do, at which stage packets leave their last trace, and
which symptoms they may have at other hops.
"""
