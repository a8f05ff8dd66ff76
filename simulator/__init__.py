"""The pretend hospital: speaks DICOM, HL7, HTTP and Modbus as real systems do; seeded, with planted faults and an answer key."""
