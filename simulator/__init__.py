"""The pretend hospital: speaks DICOM, HL7 v2, HTTP and Modbus as real systems would; seeded, with planted faults and an answer key."""
