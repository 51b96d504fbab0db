"""Where other people's toolkits meet the package: one folder or module for each."""
