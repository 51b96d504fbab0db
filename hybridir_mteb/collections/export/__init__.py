"""Collections written in other people's layouts."""
