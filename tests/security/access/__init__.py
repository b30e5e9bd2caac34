"""Who gets what from every address of the portal: one table (`api`, `pages`), the places and people that it speaks of.

Columns are people, each by a letter (`scene.PEOPLE`); rows are a method of an address. `row` says how a row becomes
statuses; `tests.security.test_access` holds the table to the URLconf and to what the portal answers.
"""
