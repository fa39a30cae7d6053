-- SPDX-License-Identifier: LGPL-2.1-or-later
-- 001.sql - the state database, first version. Run in one transaction by store.c on a new file.
--
-- Never change a file here once it was released: add the next one. What a running daemon expects is
-- what all of them give one after another; an opened file's tables are compared with that. Columns
-- are those of store/rows.h. A CHECK bounds each to what its field of the struct holds, so that the
-- integrity check at open sees a value that no version of ours wrote. Times: microseconds since
-- 1970, 0 is never. UUIDs: 16 bytes, zeros for nobody.

CREATE TABLE settings (
    name TEXT NOT NULL PRIMARY KEY CHECK (length(CAST(name AS BLOB)) BETWEEN 1 AND 63),
    value TEXT NOT NULL CHECK (length(CAST(value AS BLOB)) <= 4095)
) STRICT, WITHOUT ROWID;

CREATE TABLE hosts (
    name TEXT NOT NULL PRIMARY KEY CHECK (length(CAST(name AS BLOB)) BETWEEN 1 AND 255),
    address TEXT NOT NULL CHECK (length(CAST(address AS BLOB)) <= 263),
    fingerprint BLOB NOT NULL CHECK (length(fingerprint) = 32),
    paired_us INTEGER NOT NULL CHECK (paired_us >= 0),
    revoked_us INTEGER NOT NULL CHECK (revoked_us >= 0)
) STRICT, WITHOUT ROWID;

CREATE TABLE authorizations (
    allowed_primary TEXT NOT NULL PRIMARY KEY
        CHECK (length(CAST(allowed_primary AS BLOB)) BETWEEN 1 AND 255),
    fingerprint BLOB NOT NULL CHECK (length(fingerprint) = 32),
    trust_group TEXT NOT NULL CHECK (length(CAST(trust_group AS BLOB)) <= 63),
    storage_root TEXT NOT NULL CHECK (length(CAST(storage_root AS BLOB)) <= 4095),
    created_us INTEGER NOT NULL CHECK (created_us >= 0)
) STRICT, WITHOUT ROWID;

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

-- A disk's position is its index in the relationship's list.
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

-- Jobs are kept for ever. AUTOINCREMENT: sqlite_sequence remembers the highest sequence even when
-- its job is gone.
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

-- The open ones (ended_us = 0) and the latest are asked for at every start.
CREATE INDEX jobs_by_end ON jobs (ended_us);

-- The oldest are removed. AUTOINCREMENT: an id is never given twice.
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

-- "RSLV": what file(1) and store_open() know the file by.
PRAGMA application_id = 0x52534c56;
PRAGMA user_version = 1;
