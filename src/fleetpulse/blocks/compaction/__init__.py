"""Compaction: fresh sample blocks become parts of days with roll-ups, and parts expire.

Comes in: the sample blocks that a manifest names. Goes out: new files, and which blocks of theirs replace which. No
file that is named is touched, so a crash leaves only new files that no manifest names, and the same work is found and
done again. The caller names the new blocks in one catalog transaction, and removes unnamed files afterwards, never
between.

    fresh blocks   [ · · any days · · ] [ · · ] [ · · ]      fold: all of a kind, each sample into exactly one part
                           |        |
    parts          day 1 [raw minute hour day]   day 2 [raw hour day] [raw hour day]
                                                                |           |
    merge: the parts of a day become one                 day 2 [raw hour day]

In a file of a part a metric is whole or absent: its samples may be removed after `raw_days` while its roll-ups stay,
and its minutes are stored only where they are much fewer than its samples. Memory is bounded by units of work, not by
the length of a day: a unit is a range of devices of one metric, cut by what the footers say of the row groups.

    next_change               chooses the most useful piece of work: retention, then gaps, then fold, then merge
    change                    the result, and the manifest with the result applied
    work_input                what every kind of work is given
    retention, fold, merge    the three kinds of work on samples
    merge_late, join_late     merge late presence into its days, and join what waits for damaged days
    merge_gaps, expire_gaps   merge the files of gaps of a day, and remove days of them
    resolve_backfill          gives what late beats cover to the days of the beat gaps that it touches
    divide_gaps               writes the beat gaps of a day anew without what late beats cover
    part_writer               writes samples and their roll-ups as one part
    units                     reads sorted rows of several files, a unit at a time
    rollup_rows               sorted roll-up rows of which each cell occurs once, in whole row groups
"""
