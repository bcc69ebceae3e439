# Reads /proc once an interval and prints the counters that probes/proc.py turns into readings.
#
# Given: P, S and C, the roots of procfs, sysfs and the control groups; U, the file of users; D, the
# seconds between two frames; V, 1 to stand in for vmstat; T, in every how manyth frame to stand in
# for top, 0 for never.
#
# For mawk, gawk, the awk of BusyBox and the one true awk. The program passes through two shells:
# no apostrophe, backslash, exclamation mark, dollar or backquote in it; comments have lines of their
# own, and every other line ends in a semicolon or a brace. Counters are printed as the kernel does,
# never computed with: the integers of some awks end at 2^31.

BEGIN {
  remember("some full MemTotal: MemFree: MemAvailable: Buffers: Cached: SReclaimable: SwapTotal: SwapFree:");
  remember("cpu intr ctxt procs_running procs_blocked pgpgin pgpgout pswpin pswpout");
  remember("nr_periods nr_throttled");
  v1 = (getline line < (C "/cgroup.controllers")) < 0;
  cpu_root = C "/cpu";
  if (first(cpu_root "/cpu.cfs_quota_us") == "") cpu_root = C "/cpu,cpuacct";
  page = page_size();
  if (T) learn_users();
  precise = system("sleep 0.01 2>/dev/null") == 0;
  due = uptime();
  for (frame = 0; frame >= 0; frame++) {
    if (frame % 10 == 0) survey();
    report();
    fflush();
    wait();
  }
}

function remember(words,   word, i) {
  for (i = split(words, word, " "); i > 0; i--) wanted[word[i]] = 1;
}

# Sleeps until the next frame is due, in naps that leave nothing of us behind for long.
function wait(   rest, nap) {
  due += D;
  for (rest = due - uptime(); rest > 0.005; rest = due - uptime()) {
    nap = rest < 2 ? rest : 2;
    if (system("sleep " (precise ? sprintf("%.2f", nap) : nap < 1.5 ? 1 : 2))) exit 1;
  }
  if (rest < -D) due -= rest;
}

function uptime(   field) {
  split(first(P "/uptime"), field, " ");
  return field[1];
}

# One frame: it begins with the clock that counters are divided by, and ends with a line of its own.
function report() {
  print "up " uptime();
  print "cpus " cpus;
  print "page " page;
  pick("psi cpu", P "/pressure/cpu");
  pick("psi memory", P "/pressure/memory");
  pick("psi io", P "/pressure/io");
  pick("mem", P "/meminfo");
  pair("listen", P "/net/netstat", "TcpExt:", "ListenOverflows", "ListenDrops");
  pair("segments", P "/net/snmp", "Tcp:", "OutSegs", "RetransSegs");
  queued(P "/net/tcp");
  queued(P "/net/tcp6");
  killed();
  network();
  disks();
  limits();
  if (V) {
    pick("stat", P "/stat");
    pick("vm", P "/vmstat");
  }
  if (T && frame % T == 0) processes();
  print "end";
}

# What changes rarely: the CPUs that are online, the speeds of links, and which control groups have a limit.
function survey(   line) {
  delete speeds;
  cpus = 0;
  while ((getline line < (P "/stat")) > 0) if (line ~ /^cpu[0-9]/) cpus++;
  close(P "/stat");
  control_groups();
}

# The beginning of every line of a file whose first word is wanted, behind a tag.
function pick(tag, file,   line) {
  while ((getline line < file) > 0) {
    if ((substr(line, 1, index(line, " ") - 1)) in wanted) print tag " " substr(line, 1, 200);
  }
  close(file);
}

# The first line of a file; empty where it cannot be read.
function first(file,   line) {
  line = "";
  getline line < file;
  close(file);
  return line;
}

# Two counters of a group, which the file names in one line and counts in the next.
function pair(tag, file, group, one, other,   line, field, i, count) {
  while ((getline line < file) > 0) {
    if (index(line, group) - 1) continue;
    if (place[tag] == 0) {
      count = split(line, field, " ");
      for (i = 1; i <= count; i++) {
        if (field[i] == one) place[tag] = i;
        if (field[i] == other) second[tag] = i;
      }
    }
    if ((getline line < file) > 0 && place[tag] && second[tag]) {
      split(line, field, " ");
      print tag " " field[place[tag]] " " field[second[tag]];
    }
  }
  close(file);
}

# Connections that wait in listen queues. Sockets that listen (0A) come first in these files.
function queued(file,   line, field, part, i, sum, rows, rest) {
  while ((getline line < file) > 0) {
    split(line, field, " ");
    if (rows++ == 0) continue;
    if (field[4] "" == "0A" "") {
      split(field[5], part, ":");
      rest = 0;
      for (i = 1; i <= length(part[2]); i++) rest = rest * 16 + index("123456789ABCDEF", substr(part[2], i, 1));
      sum += rest;
    } else break;
  }
  close(file);
  if (rows) print "queued " file " " (sum + 0);
}

# How many processes the kernel has ended for want of memory.
function killed(   line) {
  while ((getline line < (P "/vmstat")) > 0) if (index(line, "oom_kill ") == 1) print "killed " substr(line, 10);
  close(P "/vmstat");
}

# Whether a disk or an interface has hardware behind it, real or virtual. Partitions, loops, bridges
# and tunnels have none, and would count the same bytes twice.
function hardware(path,   line) {
  path = path "/device/uevent";
  if ((path in known) == 0) {
    known[path] = (getline line < path) >= 0;
    close(path);
  }
  return known[path];
}

# Bytes of the interfaces, with 1 for hardware; once one is known, only of those.
function network(   line, field, real) {
  while ((getline line < (P "/net/dev")) > 0) {
    if (sub(/:/, " ", line) == 0) continue;
    split(line, field, " ");
    real = hardware(S "/class/net/" field[1]);
    if (real) wired = 1;
    if (real == wired + 0) print "net " real " " field[1] " " field[2] " " field[10];
    if (real && speed(field[1]) > 0) print "speed " speed(field[1]);
  }
  close(P "/net/dev");
}

# Megabits per second of an interface; not above zero where it has no such thing, as a virtual one.
function speed(name) {
  if ((name in speeds) == 0) speeds[name] = first(S "/class/net/" name "/speed");
  return speeds[name] + 0;
}

# Milliseconds for which each disk had something to do.
function disks(   line, field) {
  while ((getline line < (P "/diskstats")) > 0) {
    split(line, field, " ");
    if (hardware(S "/block/" field[3])) print "disk " field[3] " " field[13];
  }
  close(P "/diskstats");
}

# Bytes of a page.
function page_size(   line, field) {
  while ((getline line < (P "/self/smaps")) > 0) {
    if (line ~ /^KernelPageSize:/) {
      split(line, field, " ");
      close(P "/self/smaps");
      return field[2] * 1024;
    }
  }
  return 4096;
}

function learn_users(   line, field) {
  while ((getline line < U) > 0) {
    split(line, field, ":");
    if ((field[3] in user) == 0) user[field[3]] = field[1];
  }
  close(U);
}

# What top prints. The owner of the directory is the effective user, even of a process whose files
# are closed to others.
function processes(   list, line, field, count, pid, uid) {
  print "load " first(P "/loadavg");
  list = "ls -ldn " P "/[0-9]* 2>/dev/null";
  while ((list | getline line) > 0) {
    count = split(line, field, " ");
    pid = base(field[count]);
    uid = field[3];
    if (uid in user) {
      print "user " uid " " user[uid];
      delete user[uid];
    }
    process_row(pid, uid);
  }
  close(list);
}

# A process: pid, uid, state, ticks in user and in system mode, start, pages, name. The name is in
# parentheses and may hold more of them, blanks and newlines.
function process_row(pid, uid,   file, line, text, part, field, count) {
  file = P "/" pid "/stat";
  text = "";
  while ((getline line < file) > 0) text = (text == "") ? line : text "?" line;
  close(file);
  count = split(text, part, ")");
  if (count < 2) return;
  line = substr(text, 1, length(text) - length(part[count]) - 1);
  split(part[count], field, " ");
  print "p " pid " " uid " " field[1] " " field[12] " " field[13] " " field[20] " " field[22] " " substr(line, index(line, "(") + 1);
}

# Finds the control groups that have a limit on memory or CPU, and prints who is in them.
function control_groups(   list, line, pid, count, i, key, members, filled) {
  list = "echo " P "/[0-9]*";
  line = "";
  list | getline line;
  close(list);
  count = split(line, pid, " ");
  delete climbed;
  delete limited;
  delete members;
  print "members";
  for (i = 1; i <= count; i++) {
    key = limit_of(pid[i]);
    if (key == "") continue;
    members[key] = members[key] " " base(pid[i]);
    if (length(members[key]) > 4000) {
      print "in " number[key] members[key];
      members[key] = "";
    }
  }
  for (key in members) if (members[key]) print "in " number[key] members[key];
}

# The name of the limits that a process is under, found from its own control group upwards; empty
# where there are none. They keep the number that they once got.
function limit_of(directory,   line, part, memory, cpu, key) {
  memory = cpu = "";
  while ((getline line < (directory "/cgroup")) > 0) {
    split(line, part, ":");
    line = substr(line, length(part[1] part[2]) + 3);
    if (v1 == 0) memory = cpu = line;
    else if (part[2] == "memory") memory = line;
    else if (("," part[2] ",") ~ /,cpu,/) cpu = line;
  }
  close(directory "/cgroup");
  if (v1) {
    memory = climb(C "/memory", memory, "memory.limit_in_bytes", "^9223372");
    cpu = climb(cpu_root, cpu, "cpu.cfs_quota_us", "^-");
  } else {
    memory = climb(C, memory, "memory.max", "^max");
    cpu = climb(C, cpu, "cpu.max", "^max");
  }
  key = memory SUBSEP cpu;
  if (key == SUBSEP) return "";
  if ((key in number) == 0) {
    number[key] = ++groups;
    memory_at[groups] = memory;
    cpu_at[groups] = cpu;
  }
  limited[number[key]] = 1;
  return key;
}

# The nearest directory from a control group upwards whose file says other than unlimited.
function climb(root, path, file, unlimited,   start, value) {
  start = root path "/" file;
  if ((start in climbed) == 0) {
    value = first(root path "/" file);
    while (path && (value == "" || value ~ unlimited)) {
      path = substr(path, 1, length(path) - length(base(path)) - 1);
      value = first(root path "/" file);
    }
    climbed[start] = (value == "" || value ~ unlimited) ? "" : root path;
  }
  return climbed[start];
}

# What is behind the last slash of a path.
function base(path,   part) {
  return part[split(path, part, "/")];
}

# Use and limits of the control groups that have any.
function limits(   i) {
  for (i in limited) {
    if (memory_at[i]) {
      if (v1) print "memory " i " " first(memory_at[i] "/memory.usage_in_bytes") " " first(memory_at[i] "/memory.limit_in_bytes");
      else print "memory " i " " first(memory_at[i] "/memory.current") " " first(memory_at[i] "/memory.max");
    }
    if (cpu_at[i]) {
      if (v1) print "quota " i " " first(cpu_at[i] "/cpu.cfs_quota_us") " " first(cpu_at[i] "/cpu.cfs_period_us");
      else print "quota " i " " first(cpu_at[i] "/cpu.max");
      pick("throttle " i, cpu_at[i] "/cpu.stat");
    }
  }
}
