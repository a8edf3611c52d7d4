"""How well predictions match references: scores, confusions, intervals, calibration."""
