"""Study as code: one YAML file that describes a study, from its words to its runs.

`reading` reads the file, `standing` looks at what the portal has, `steps` and `running` say what is between the two,
and `applying` does it.
"""
