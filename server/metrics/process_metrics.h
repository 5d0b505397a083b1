/* What Prometheus' client libraries say of every process: process_cpu_seconds_total,
 * process_resident_memory_bytes, process_open_fds, process_max_fds, process_start_time_seconds. */
#ifndef WS_SERVER_METRICS_PROCESS_METRICS_H
#define WS_SERVER_METRICS_PROCESS_METRICS_H

#include "server/metrics/exposition.h"

/* Writes the families. What the system does not tell (no /proc) is left out. Reads /proc and lists
 * the open files: call it once per scrape. */
void process_metrics_write(struct exposition *page);

#endif
