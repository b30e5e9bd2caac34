"""The process in which a script's own ServerApp runs at the centre, and what it may do from there.

`process` is started behind the same walls as a script at a node (`fedstudy_core.sandbox`); `grid` is the Flower `Grid`
that it gives the app; `leavings` collects what the app leaves. Beside `fedstudy_core.flower` this is the only part of
the package that imports Flower.
"""
