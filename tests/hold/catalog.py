"""All attacks, in the order of the table."""

from hold import bounded_work, fair_share, forgeries, memory, rights

ATTACKS = (
    *bounded_work.ATTACKS,
    *fair_share.ATTACKS,
    *memory.ATTACKS,
    *forgeries.ATTACKS,
    *rights.ATTACKS,
)
