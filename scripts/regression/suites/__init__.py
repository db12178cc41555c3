"""The suites: each module has `rounds(settings)`, which measures once for each item it gives."""
