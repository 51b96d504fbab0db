"""The campaign of faults: kills, corruptions, fuzzing, full disks, processes, plugins, names.

``make faults`` runs the whole of it (``campaign.py``), the tests beside it a small part.
"""
