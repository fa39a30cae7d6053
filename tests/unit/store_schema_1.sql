-- SPDX-License-Identifier: LGPL-2.1-or-later
-- A state database of schema 1 with a row of each kind, as sqlite3's .dump writes it, and the two
-- pragmas that .dump leaves out. Never changed: what was released has to open for ever.
PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE settings (
    name TEXT NOT NULL PRIMARY KEY CHECK (length(CAST(name AS BLOB)) BETWEEN 1 AND 63),
    value TEXT NOT NULL CHECK (length(CAST(value AS BLOB)) <= 4095)
) STRICT, WITHOUT ROWID;
INSERT INTO settings VALUES('last','a value');
CREATE TABLE hosts (
    name TEXT NOT NULL PRIMARY KEY CHECK (length(CAST(name AS BLOB)) BETWEEN 1 AND 255),
    address TEXT NOT NULL CHECK (length(CAST(address AS BLOB)) <= 263),
    fingerprint BLOB NOT NULL CHECK (length(fingerprint) = 32),
    paired_us INTEGER NOT NULL CHECK (paired_us >= 0),
    revoked_us INTEGER NOT NULL CHECK (revoked_us >= 0)
) STRICT, WITHOUT ROWID;
INSERT INTO hosts VALUES('db2.example','db2.example:8490',X'abababababababababababababababababababababababababababababababab',1772398800000000,0);
CREATE TABLE authorizations (
    allowed_primary TEXT NOT NULL PRIMARY KEY
        CHECK (length(CAST(allowed_primary AS BLOB)) BETWEEN 1 AND 255),
    fingerprint BLOB NOT NULL CHECK (length(fingerprint) = 32),
    trust_group TEXT NOT NULL CHECK (length(CAST(trust_group AS BLOB)) <= 63),
    storage_root TEXT NOT NULL CHECK (length(CAST(storage_root AS BLOB)) <= 4095),
    created_us INTEGER NOT NULL CHECK (created_us >= 0)
) STRICT, WITHOUT ROWID;
INSERT INTO authorizations VALUES('db2.example',X'abababababababababababababababababababababababababababababababab','berlin','/srv/replicas',1772398800000001);
CREATE TABLE relationships (
    vm BLOB NOT NULL CHECK (length(vm) = 16),
    hop INTEGER NOT NULL CHECK (hop IN (0, 1)),
    role INTEGER NOT NULL CHECK (role BETWEEN 0 AND 255),
    state INTEGER NOT NULL CHECK (state BETWEEN 0 AND 65535),
    health INTEGER NOT NULL CHECK (health BETWEEN 0 AND 65535),
    last_type INTEGER NOT NULL CHECK (last_type BETWEEN 0 AND 65535),
    vm_name TEXT NOT NULL CHECK (length(CAST(vm_name AS BLOB)) <= 255),
    peer TEXT NOT NULL CHECK (length(CAST(peer AS BLOB)) <= 255),
    folder TEXT NOT NULL CHECK (length(CAST(folder AS BLOB)) <= 4095),
    reason TEXT NOT NULL CHECK (length(CAST(reason AS BLOB)) <= 639),
    generation INTEGER NOT NULL CHECK (generation >= 0),
    peer_generation INTEGER NOT NULL CHECK (peer_generation >= 0),
    created_us INTEGER NOT NULL CHECK (created_us >= 0),
    last_replication_us INTEGER NOT NULL CHECK (last_replication_us >= 0),
    last_apply_us INTEGER NOT NULL CHECK (last_apply_us >= 0),
    last_try_us INTEGER NOT NULL CHECK (last_try_us >= 0),
    recovery_history INTEGER NOT NULL CHECK (recovery_history BETWEEN 0 AND 24),
    interval_s INTEGER NOT NULL CHECK (interval_s BETWEEN 0 AND 4294967295),
    rate_bytes_per_s INTEGER NOT NULL CHECK (rate_bytes_per_s >= 0),
    auto_start_minute INTEGER NOT NULL CHECK (auto_start_minute BETWEEN 0 AND 1439),
    auto_end_minute INTEGER NOT NULL CHECK (auto_end_minute BETWEEN 0 AND 1439),
    is_auto_resync_enabled INTEGER NOT NULL CHECK (is_auto_resync_enabled IN (0, 1)),
    is_compression_enabled INTEGER NOT NULL CHECK (is_compression_enabled IN (0, 1)),
    disk_count INTEGER NOT NULL CHECK (disk_count BETWEEN 0 AND 64),
    PRIMARY KEY (vm, hop)
) STRICT, WITHOUT ROWID;
INSERT INTO relationships VALUES(X'ff008000000000000000000000000001',1,1,7,2,1,'kunden-db ä','db2.example','/srv/replicas/x','the peer was lost',3,4,1772398800000002,1772398800000003,1772398800000004,1772398800000005,24,300,1000000,1320,300,1,0,2);
CREATE TABLE relationship_disks (
    vm BLOB NOT NULL CHECK (length(vm) = 16),
    hop INTEGER NOT NULL CHECK (hop IN (0, 1)),
    position INTEGER NOT NULL CHECK (position BETWEEN 0 AND 63),
    name TEXT NOT NULL CHECK (length(CAST(name AS BLOB)) BETWEEN 1 AND 255),
    size_bytes INTEGER NOT NULL CHECK (size_bytes BETWEEN 0 AND 1152921504606846976),
    is_included INTEGER NOT NULL CHECK (is_included IN (0, 1)),
    PRIMARY KEY (vm, hop, position),
    UNIQUE (vm, hop, name),
    FOREIGN KEY (vm, hop) REFERENCES relationships (vm, hop) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
INSERT INTO relationship_disks VALUES(X'ff008000000000000000000000000001',1,0,'vda.qcow2',10737418240,1);
INSERT INTO relationship_disks VALUES(X'ff008000000000000000000000000001',1,1,'scratch.raw',0,0);
CREATE TABLE jobs (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT CHECK (sequence > 0),
    id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    type INTEGER NOT NULL CHECK (type BETWEEN 0 AND 65535),
    state INTEGER NOT NULL CHECK (state BETWEEN 0 AND 65535),
    state_before INTEGER NOT NULL CHECK (state_before BETWEEN 0 AND 65535),
    vm BLOB NOT NULL CHECK (length(vm) = 16),
    hop INTEGER NOT NULL CHECK (hop IN (0, 1)),
    vm_name TEXT NOT NULL CHECK (length(CAST(vm_name AS BLOB)) <= 255),
    owner TEXT NOT NULL CHECK (length(CAST(owner AS BLOB)) <= 127),
    submitted_us INTEGER NOT NULL CHECK (submitted_us >= 0),
    scheduled_us INTEGER NOT NULL CHECK (scheduled_us >= 0),
    started_us INTEGER NOT NULL CHECK (started_us >= 0),
    ended_us INTEGER NOT NULL CHECK (ended_us >= 0),
    changed_us INTEGER NOT NULL CHECK (changed_us >= 0),
    next_try_us INTEGER NOT NULL CHECK (next_try_us >= 0),
    attempts INTEGER NOT NULL CHECK (attempts BETWEEN 0 AND 4294967295),
    percent INTEGER NOT NULL CHECK (percent BETWEEN 0 AND 100),
    error_code INTEGER NOT NULL CHECK (error_code = 0 OR error_code BETWEEN 32768 AND 65535),
    error_kind INTEGER NOT NULL CHECK (error_kind BETWEEN 0 AND 7),
    error TEXT NOT NULL CHECK (length(CAST(error AS BLOB)) <= 639),
    status TEXT NOT NULL CHECK (length(CAST(status AS BLOB)) <= 639),
    report TEXT CHECK (length(CAST(report AS BLOB)) < 65536)
) STRICT;
INSERT INTO jobs VALUES(12,X'ff008000000000000000000000000009',94,7,6,X'ff008000000000000000000000000001',1,'kunden-db','root',1,2,3,4,5,6,7,80,32768,2,'it''s gone','failed','{"disks": []}');
CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT CHECK (id > 0),
    time_us INTEGER NOT NULL CHECK (time_us >= 0),
    code INTEGER NOT NULL CHECK (code BETWEEN 0 AND 65535),
    level INTEGER NOT NULL CHECK (level BETWEEN 0 AND 5),
    vm BLOB NOT NULL CHECK (length(vm) = 16),
    hop INTEGER NOT NULL CHECK (hop IN (0, 1)),
    job BLOB NOT NULL CHECK (length(job) = 16),
    what TEXT NOT NULL CHECK (length(CAST(what AS BLOB)) <= 63),
    text TEXT NOT NULL CHECK (length(CAST(text AS BLOB)) <= 639)
) STRICT;
INSERT INTO events VALUES(1,1772398800000006,29242,3,X'ff008000000000000000000000000001',1,X'ff008000000000000000000000000009','resync started','of ''kunden-db''');
CREATE TABLE statistics (
    vm BLOB NOT NULL CHECK (length(vm) = 16),
    hop INTEGER NOT NULL CHECK (hop IN (0, 1)),
    start_us INTEGER NOT NULL CHECK (start_us >= 0),
    end_us INTEGER NOT NULL CHECK (end_us >= 0),
    success_count INTEGER NOT NULL CHECK (success_count BETWEEN 0 AND 4294967295),
    miss_count INTEGER NOT NULL CHECK (miss_count BETWEEN 0 AND 4294967295),
    network_failure_count INTEGER NOT NULL CHECK (network_failure_count BETWEEN 0 AND 4294967295),
    failure_count INTEGER NOT NULL CHECK (failure_count BETWEEN 0 AND 4294967295),
    size_bytes INTEGER NOT NULL CHECK (size_bytes >= 0),
    max_size_bytes INTEGER NOT NULL CHECK (max_size_bytes >= 0),
    latency_s INTEGER NOT NULL CHECK (latency_s >= 0),
    max_latency_s INTEGER NOT NULL CHECK (max_latency_s >= 0),
    resynced_bytes INTEGER NOT NULL CHECK (resynced_bytes >= 0),
    PRIMARY KEY (vm, hop, start_us)
) STRICT, WITHOUT ROWID;
INSERT INTO statistics VALUES(X'ff008000000000000000000000000001',1,10,20,1,2,3,4,5,6,7,8,9);
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence VALUES('jobs',12);
INSERT INTO sqlite_sequence VALUES('events',1);
CREATE INDEX jobs_by_end ON jobs (ended_us);
COMMIT;
PRAGMA application_id = 0x52534c56;
PRAGMA user_version = 1;
