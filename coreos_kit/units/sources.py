"""Where a workspace keeps the sources of its units, for those who read them and those who render them."""

FOLDER = "unit_templates"
SUFFIX = ".j2"
