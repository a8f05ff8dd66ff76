-- The columns of docs/architecture.md, "Marts": what tests of reports and pages are built on until and beside the real models.
create table marts.dim_device (
  device_id varchar, site_id varchar, name_en varchar, name_zh varchar, kind varchar, modality varchar, room_id varchar
);
create table marts.dim_room (
  room_id varchar, site_id varchar, name_en varchar, name_zh varchar, kind varchar
);
create table marts.dim_staff (
  staff_id varchar, site_id varchar, role varchar, name_en varchar, name_zh varchar
);
create table marts.dim_rule (
  rule_id varchar, version varchar, severity varchar, title_en varchar, title_zh varchar, clause varchar, requirement
  varchar, valid_from varchar, valid_until varchar
);
create table marts.fct_examination (
  accession_number varchar, site_id varchar, patient_pseudonym varchar, exam_code varchar, exam_name varchar, indication
  varchar, status varchar, ordered_at_utc timestamp, scheduled_at_utc timestamp, arrived_at_utc timestamp,
  started_at_utc timestamp, ended_at_utc timestamp, reported_at_utc timestamp, device_id varchar, room_id varchar, agent
  varchar, administered_mbq double, series_count bigint, steps_expected bigint, steps_done bigint, steps_missing bigint,
  findings bigint, verdict varchar
);
create table marts.fct_examination_step (
  accession_number varchar, step varchar, occurrence bigint, site_id varchar, exam_code varchar, sequence bigint,
  mandatory boolean, state varchar, started_at_utc timestamp, ended_at_utc timestamp, staff_id varchar, staff_role
  varchar, credential_valid boolean, device_id varchar, room_id varchar, minutes_after_injection double, timing_ok
  boolean, reason varchar
);
create table marts.fct_phantom_test (
  run_key varchar, procedure varchar, detector varchar, measure varchar, site_id varchar, device_id varchar, series_uid
  varchar, value double, unit varchar, uncertainty double, status varchar, method varchar, method_version varchar,
  measured_at_utc timestamp, recorded_at_utc timestamp, limit_low double, limit_high double, warn_low double, warn_high
  double, limit_id varchar, limit_version varchar, standard varchar, clause varchar, verdict varchar, reason varchar,
  is_current boolean, picture_href varchar, phantom_serial varchar, phantom_state varchar, baseline_value double, change_from_baseline double,
  baseline_source varchar
);
create table marts.fct_image_quality (
  run_key varchar, series_uid varchar, aspect varchar, region varchar, measure varchar, site_id varchar, device_id
  varchar, accession_number varchar, value double, unit varchar, status varchar, method varchar, method_version varchar,
  measured_at_utc timestamp, limit_low double, limit_high double, limit_version varchar, verdict varchar, reason
  varchar, is_current boolean, picture_href varchar
);
create table marts.fct_adverse_event (
  event_number varchar, site_id varchar, accession_number varchar, device_id varchar, room_id varchar, category varchar,
  severity varchar, occurred_at_utc timestamp, reported_at_utc timestamp, reported_by varchar, description varchar
);
create table marts.fct_intake_outcome (
  event_id varchar, site_id varchar, channel varchar, message_id varchar, outcome varchar, reason varchar, sha256
  varchar, size_bytes bigint, sender varchar, received_at_utc timestamp
);
create table marts.fct_worklist_hold (
  site_id varchar, event_id varchar, device_id varchar, accession_number varchar, kind varchar, action varchar, state varchar, reason varchar, policy_id varchar,
  policy_version bigint, approver varchar, override_id varchar, staff_id varchar, override_reason varchar, until_utc timestamp,
  occurred_at_utc timestamp, recorded_at_utc timestamp
);
create table marts.fct_finding (
  finding_id varchar, site_id varchar, rule_id varchar, rule_version varchar, severity varchar, clause varchar,
  requirement varchar, subject_kind varchar, subject_id varchar, device_id varchar, room_id varchar, accession_number
  varchar, staff_id varchar, occurred_at_utc timestamp, value double, unit varchar, limit_text varchar, title_en
  varchar, title_zh varchar, reason varchar, picture_href varchar, source_mart varchar, rank bigint
);
create table marts.mart_staff_month (
  site_id varchar, staff_id varchar, month date, staff_role varchar, steps_total bigint, steps_compliant bigint,
  steps_credential_invalid bigint, steps_credential_unknown bigint, compliance_percent double
);
create table marts.mart_device_month (
  site_id varchar, device_id varchar, month date, examinations bigint, series bigint, phantom_tests bigint,
  phantom_fails bigint, image_quality_mean double, image_quality_n bigint, days_fit bigint, days_not_fit bigint,
  days_not_confirmed bigint
);
create table marts.mart_administered_activity (
  accession_number varchar, site_id varchar, agent varchar, nuclide varchar, prescribed_mbq double, administered_mbq
  double, deviation_percent double, tolerance_percent double, drl_mbq double, drl_ratio double, administered_at_utc
  timestamp, staff_id varchar, verdict varchar, reason varchar
);
create table marts.mart_device_day (
  site_id varchar, device_id varchar, day date, state varchar, reason varchar, tests_due bigint, tests_done bigint,
  tests_failed bigint, first_patient_at_utc timestamp, last_test_at_utc timestamp, examinations bigint
);
create table marts.mart_environment_hour (
  site_id varchar, room_id varchar, quantity varchar, hour_utc timestamp, sensor_id varchar, unit varchar, value_min
  double, value_mean double, value_max double, slots_expected bigint, slots_received bigint, completeness_percent
  double, limit_low double, limit_high double, limit_version varchar, verdict varchar, reason varchar
);
create table marts.mart_credential_validity (
  site_id varchar, staff_id varchar, credential varchar, role varchar, issuer varchar, valid_from_utc timestamp,
  valid_until_utc timestamp, state varchar, days_left bigint, steps_while_invalid bigint
);
create table marts.mart_release (
  release_id varchar, site_id varchar, as_of_utc timestamp, built_at_utc timestamp, lake_head varchar, examinations
  bigint, series bigint, findings bigint
);
create table marts.mart_drift (
  site_id varchar, trend_id varchar, subject_kind varchar, subject_id varchar, procedure varchar, measure varchar, detector varchar, region
  varchar, is_current boolean, state varchar, start_at_utc timestamp, flagged_at_utc timestamp, shift double, matters boolean, unit varchar,
  baseline_value double, values_seen bigint, reason varchar
);
create table marts.mart_device_health (
  site_id varchar, device_id varchar, day date, contribution varchar, points_lost double, score double, reason varchar
);
create table marts.mart_peer_position (
  site_id varchar, device_id varchar, procedure varchar, measure varchar, detector varchar, region varchar, manufacturer varchar, model varchar,
  value double, unit varchar, peers bigint, peer_median double, robust_z double, position varchar, matters boolean, reason varchar
);
create table marts.mart_phantom_due (
  site_id varchar, device_id varchar, procedure varchar, every_days integer, last_test_at_utc timestamp, last_result varchar, next_due_day date,
  days_left bigint, state varchar, reason varchar
);
create table marts.fct_examination_indication (
  site_id varchar, accession_number varchar, indication_code varchar, exam_code varchar
);
create schema staging;
create table staging.stg_lake__event (
  site_id varchar, source varchar, event_id varchar, type varchar, occurred_at_utc timestamp, recorded_at_utc timestamp, sha256 varchar,
  journal varchar, journal_offset bigint
);
create table staging.stg_analysis__measure (
  site_id varchar, run_key varchar, series_uid varchar, analysis varchar, procedure varchar, detector varchar, aspect varchar, region varchar,
  measure varchar, status varchar
);
create table staging.stg_sensors__reading (site_id varchar, sensor_id varchar, read_at_utc timestamp, quantity varchar, unit varchar);
create table marts.fct_examination_requirement (
  site_id varchar, accession_number varchar, exam_code varchar, rule_id varchar, subject_kind varchar, subject_id varchar, step varchar,
  subject varchar, requirement_id varchar, requirement_version integer, state varchar, is_known boolean, value double, unit varchar,
  limit_text varchar, reason varchar, at_utc timestamp, device_id varchar, room_id varchar, staff_id varchar
);
