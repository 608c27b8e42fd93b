// A disk that fails, fills up, or loses its power, for one program: a library to be named in LD_PRELOAD.
//
// What a program does to the files under one directory passes through here: it is numbered and written down, it can
// be made to fail, and of each file and name it is known what a disk would have kept had the power gone. Everything
// else goes straight to the kernel. `tests/src/disk.rs` is the other half: it says what shall happen and reads what
// did. The two meet in a folder of their own:
//
//   DISK_DIR     the directory in question, absolute and without links; it need not exist yet
//   DISK_STATE   the folder, with
//     control    what shall happen and what was counted (`struct control`), mapped by every process
//     log        one line an operation: NUMBER KIND BYTES OUTCOME NAME
//     tree/      what the disk holds: the directory as it would be found after a power cut
//     objects/   what the disk holds of each file, by inode number; a name in tree/ is a hard link to one of these
//     dirty/     for each inode: which sectors were written since its last sync (`struct dirty`)
//
// What is kept of unsynced work is nothing: data and size of a file become durable by fsync or fdatasync of it, names
// by fsync of their directory. A file that has no durable name yet gets its name with its first fsync, as on ext4 (if
// another durable file has that name, the whole directory is made durable, so that no file vanishes in between).
// Nothing is ever really synced, which makes all this faster than a disk.
//
// All state lies in shared files, so that several processes (a shell and what it starts, or a server and a command
// beside it) see one disk, and so that nothing is lost when they are killed.
//
// Not seen: writes through a mapping (SQLite's -shm file: not durable state, rebuilt at the first open), through stdio
// streams, through io_uring, and sync(2). Not modelled, and ended with a message: files beyond 4 GiB, unnamed files,
// writes that sync by themselves (O_SYNC, O_DSYNC), directories that are renamed, files renamed from one directory into
// another, exchanges.
//
// The kernel is called with syscall(2) throughout: so there is no looking up of the functions replaced here, and no
// order of initialisation to get wrong. A file is told by its inode, never by its descriptor: so descriptors may be
// duplicated, inherited and closed behind our back. Files of the directory are never opened a second time: closing
// such a descriptor would drop the locks that SQLite holds.

#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

_Static_assert(sizeof(long) == 8 && sizeof(off_t) == 8, "system calls are made as on 64-bit machines");

// ---- What the harness and every process share ----

// Fields are 64 bits wide; the harness writes them at 8 times their place.
struct control {
    uint64_t count;      // operations so far
    uint64_t fail_from;  // number of the first operation that fails,
    uint64_t fail_until; // and of the first one after it that does not
    uint64_t fail_errno; // with what they fail
    uint64_t kinds;      // which kinds are counted
    uint64_t cut_at;     // before this operation the process kills itself; 0: never
    uint64_t room;       // bytes by which files may still grow
    uint64_t flags;
};

enum flag { POWER = 1, HALF = 2, LYING = 4, READ_ONLY = 8, UNSYNCED_DATABASE = 16 };

enum kind { WRITE = 1, TRUNCATE = 2, ALLOCATE = 4, SYNC = 8, RENAME = 16, UNLINK = 32, CREATE = 64 };

enum {
    CONTROL_BYTES = 4096,
    SECTOR = 512,
    SECTORS_MAX = 8 * 1024 * 1024,
    COPY_BYTES = 64 * 1024,
    FILES_KNOWN = 256,
    // Above what a program gets for itself: its own descriptors keep the numbers they would have without us.
    DESCRIPTOR_MIN = 200,
};

// Sectors written since the last sync; all of them are in low..high.
struct dirty {
    uint64_t low;
    uint64_t high;
    unsigned char bits[SECTORS_MAX / 8];
};

// A file that was asked about lately. `once`: do not believe this the next time.
struct file {
    dev_t dev;
    ino_t ino;
    bool inside;
    bool once;
    struct dirty *dirty;
    char name[NAME_MAX + 1];
};

static volatile struct control *control;
static int control_fd = -1;
static int log_fd = -1;
static const char *dir;
static size_t dir_length;
static const char *state;
static struct file files[FILES_KNOWN];
static pthread_mutex_t threads = PTHREAD_MUTEX_INITIALIZER;

static void die(const char *what, const char *name)
{
    char line[PATH_MAX + 200];
    int length = snprintf(line, sizeof line, "disk.c: %s: %s (errno %d)\n", what, name, errno);
    syscall(SYS_write, 2, line, (size_t)length);
    abort();
}

static int high_descriptor(const char *name, int flags)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", state, name);
    int low = (int)syscall(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, 0600);
    int high = low < 0 ? -1 : fcntl(low, F_DUPFD_CLOEXEC, DESCRIPTOR_MIN);
    if (high < 0)
        die("cannot open", path);
    syscall(SYS_close, low);
    return high;
}

__attribute__((constructor)) static void begin(void)
{
    dir = getenv("DISK_DIR");
    state = getenv("DISK_STATE");
    if (dir == NULL || state == NULL)
        return;
    dir_length = strlen(dir);
    log_fd = high_descriptor("log", O_WRONLY | O_APPEND | O_CREAT);
    control_fd = high_descriptor("control", O_RDWR);
    void *mapped = mmap(NULL, CONTROL_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, control_fd, 0);
    if (mapped == MAP_FAILED)
        die("cannot map", "control");
    control = mapped;
}

// One operation at a time, among all threads and all processes: a write is wholly before or wholly after a sync. The
// kernel lets go of the lock when a process is killed.
static void lock(void)
{
    struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    pthread_mutex_lock(&threads);
    while (fcntl(control_fd, F_SETLKW, &whole) != 0)
        // A deadlock is only suspected: whoever holds this lock waits for nothing.
        if (errno != EINTR && errno != EDEADLK)
            die("cannot lock", "control");
}

// Keeps errno, so that the last thing before a return may be this.
static void unlock(void)
{
    int error = errno;
    struct flock whole = { .l_type = F_UNLCK, .l_whence = SEEK_SET };
    fcntl(control_fd, F_SETLK, &whole);
    pthread_mutex_unlock(&threads);
    errno = error;
}

static bool is(enum flag flag)
{
    return (control->flags & flag) != 0;
}

// ---- Numbers: what is counted, and what fails ----

static const char *kind_name(enum kind kind)
{
    switch (kind) {
    case WRITE: return "write";
    case TRUNCATE: return "truncate";
    case ALLOCATE: return "allocate";
    case SYNC: return "sync";
    case RENAME: return "rename";
    case UNLINK: return "unlink";
    case CREATE: return "create";
    }
    return "?";
}

// Numbers an operation that is about to happen. Returns 0, or what it shall fail with instead. Here the power goes.
static int count(enum kind kind, const char *name, uint64_t bytes)
{
    int error = 0;
    if ((control->kinds & kind) == 0)
        return is(READ_ONLY) && kind != SYNC ? EROFS : 0;
    uint64_t number = control->count + 1;
    if (control->cut_at != 0 && number >= control->cut_at) {
        kill(getpid(), SIGKILL);
        // Still holding the lock: no other thread gets any further.
        for (;;)
            pause();
    }
    control->count = number;
    if (number >= control->fail_from && number < control->fail_until)
        error = (int)control->fail_errno;
    else if (is(READ_ONLY) && kind != SYNC)
        error = EROFS;
    char line[PATH_MAX + 100];
    int length = snprintf(line, sizeof line, "%llu %s %llu %d %s\n", (unsigned long long)number, kind_name(kind),
                          (unsigned long long)bytes, error, name);
    syscall(SYS_write, log_fd, line, (size_t)length);
    return error;
}

static void give_room(uint64_t bytes)
{
    if (control->room != UINT64_MAX)
        control->room += bytes;
}

static void take_room(uint64_t bytes)
{
    if (control->room != UINT64_MAX)
        control->room -= bytes;
}

// ---- Where a path or a descriptor leads ----

static bool is_inside(const char *path)
{
    return strncmp(path, dir, dir_length) == 0 && (path[dir_length] == '/' || path[dir_length] == '\0');
}

static const char *name_of(const char *path)
{
    return path[dir_length] == '/' ? path + dir_length + 1 : ".";
}

static bool path_of(int fd, char path[PATH_MAX])
{
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (length < 0)
        return false;
    path[length] = '\0';
    return true;
}

// The absolute path of what `path` names or would name, if that is in our directory or the directory itself.
static bool resolve(int at, const char *path, char full[PATH_MAX])
{
    char folder[PATH_MAX];
    size_t length = strlen(path);
    if (control == NULL || length == 0 || length >= sizeof folder)
        return false;
    memcpy(folder, path, length + 1);
    while (length > 1 && folder[length - 1] == '/')
        folder[--length] = '\0';
    char *slash = strrchr(folder, '/');
    const char *last = slash == NULL ? folder : slash + 1;
    char name[NAME_MAX + 1];
    if (strlen(last) > NAME_MAX)
        return false;
    strcpy(name, last);
    if (slash == NULL)
        strcpy(folder, ".");
    else
        slash[slash == folder ? 1 : 0] = '\0';
    // A descriptor that is only a path drops no locks when it is closed.
    int fd = (int)syscall(SYS_openat, at, folder, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
    if (fd < 0)
        return false;
    bool found = path_of(fd, full);
    syscall(SYS_close, fd);
    size_t used = found ? strlen(full) : 0;
    if (!found || used + 1 + strlen(name) >= PATH_MAX)
        return false;
    if (full[used - 1] != '/')
        full[used++] = '/';
    strcpy(full + used, name);
    return is_inside(full);
}

// ---- What the disk holds of a file ----

static void object_path(ino_t ino, char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "%s/objects/%llu", state, (unsigned long long)ino);
}

static void mark(struct file *file, uint64_t offset, uint64_t length)
{
    struct dirty *dirty = file->dirty;
    if (dirty == NULL || length == 0)
        return;
    uint64_t first = offset / SECTOR, end = (offset + length - 1) / SECTOR + 1;
    if (end > SECTORS_MAX)
        die("larger than this can follow", file->name);
    if (dirty->low == dirty->high) {
        dirty->low = first;
        dirty->high = end;
    }
    if (first < dirty->low)
        dirty->low = first;
    if (end > dirty->high)
        dirty->high = end;
    for (uint64_t sector = first; sector < end; sector++)
        dirty->bits[sector / 8] |= (unsigned char)(1 << sector % 8);
}

static void unmark_all(struct dirty *dirty)
{
    if (dirty->high > dirty->low)
        memset(dirty->bits + dirty->low / 8, 0, (dirty->high - 1) / 8 - dirty->low / 8 + 1);
    dirty->low = dirty->high = 0;
}

static void make_object(const struct stat *live)
{
    char path[PATH_MAX];
    object_path(live->st_ino, path);
    // The number may have belonged to a file that is gone; what the disk holds of that one stays under its name.
    syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, live->st_mode & 07777);
    if (fd < 0)
        die("cannot make", path);
    syscall(SYS_close, fd);
}

static struct dirty *map_dirty(ino_t ino)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/dirty/%llu", state, (unsigned long long)ino);
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || syscall(SYS_ftruncate, fd, sizeof(struct dirty)) != 0)
        die("cannot make", path);
    void *mapped = mmap(NULL, sizeof(struct dirty), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (mapped == MAP_FAILED)
        die("cannot map", path);
    syscall(SYS_close, fd);
    return mapped;
}

static void forget(struct file *file)
{
    if (file->dirty != NULL)
        munmap(file->dirty, sizeof(struct dirty));
    memset(file, 0, sizeof *file);
}

static struct file *place_of(const struct stat *live)
{
    return &files[live->st_ino % FILES_KNOWN];
}

// To be called when a name went: the inode may soon be another file, or the file have another name.
static void forget_inode(const struct stat *live)
{
    struct file *file = place_of(live);
    if (file->ino == live->st_ino && file->dev == live->st_dev)
        forget(file);
}

// What is known of a file, which is at `full` or, without that, open as `fd`. NULL if it is none of ours.
static struct file *find(const struct stat *live, int fd, const char *full)
{
    struct file *file = place_of(live);
    char path[PATH_MAX];
    if (file->ino != live->st_ino || file->dev != live->st_dev || file->once) {
        forget(file);
        if (full == NULL && !path_of(fd, path))
            return NULL;
        full = full == NULL ? path : full;
        file->dev = live->st_dev;
        file->ino = live->st_ino;
        file->once = live->st_nlink == 0;
        file->inside = is_inside(full);
        if (file->inside)
            snprintf(file->name, sizeof file->name, "%s", name_of(full));
        if (file->inside && is(POWER)) {
            struct stat held;
            char object[PATH_MAX];
            file->dirty = map_dirty(live->st_ino);
            object_path(live->st_ino, object);
            if (stat(object, &held) != 0) {
                // It came from outside, and nobody ever synced it.
                make_object(live);
                mark(file, 0, (uint64_t)live->st_size);
            }
        }
    }
    return file->inside ? file : NULL;
}

// Takes the lock if `fd` is a regular file of ours. Whoever gets a file must unlock.
static struct file *lock_file(int fd, struct stat *live)
{
    if (control == NULL || fstat(fd, live) != 0 || !S_ISREG(live->st_mode))
        return NULL;
    lock();
    // Once more: its size may have changed while we waited.
    fstat(fd, live);
    struct file *file = find(live, fd, NULL);
    if (file == NULL)
        unlock();
    return file;
}

static void make_parents(char *path)
{
    for (char *slash = path + strlen(state) + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        if (syscall(SYS_mkdirat, AT_FDCWD, path, 0700) != 0 && errno != EEXIST)
            die("cannot make", path);
        *slash = '/';
    }
}

// Gives the name `name` in tree/ to the object of this inode, whoever had it.
static void keep_name(ino_t ino, const char *name)
{
    char object[PATH_MAX], wanted[PATH_MAX], made[PATH_MAX];
    object_path(ino, object);
    snprintf(wanted, sizeof wanted, "%s/tree/%s", state, name);
    snprintf(made, sizeof made, "%s/name", state);
    make_parents(wanted);
    // Left behind by a process that was killed right here.
    syscall(SYS_unlinkat, AT_FDCWD, made, 0);
    if (syscall(SYS_linkat, AT_FDCWD, object, AT_FDCWD, made, 0) != 0 ||
        syscall(SYS_renameat2, AT_FDCWD, made, AT_FDCWD, wanted, 0) != 0)
        die("cannot keep the name", wanted);
}

static void join(char path[PATH_MAX], const char *folder, const char *name)
{
    if (snprintf(path, PATH_MAX, "%s/%s", folder, name) >= PATH_MAX)
        die("path too long", name);
}

// A directory was synced: the names in it are durable as they are.
static void keep_names(const char *live_folder)
{
    char folder[PATH_MAX], path[PATH_MAX], kept[PATH_MAX];
    struct stat live, held, object;
    join(path, state, "tree");
    join(folder, path, name_of(live_folder));
    DIR *entries = opendir(live_folder);
    if (entries == NULL)
        die("cannot list", live_folder);
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        join(path, live_folder, entry->d_name);
        join(kept, folder, entry->d_name);
        if (lstat(path, &live) != 0)
            continue;
        if (S_ISDIR(live.st_mode)) {
            make_parents(kept);
            syscall(SYS_mkdirat, AT_FDCWD, kept, live.st_mode & 07777);
        } else if (S_ISREG(live.st_mode) && find(&live, -1, path) != NULL) {
            char of[PATH_MAX];
            object_path(live.st_ino, of);
            if (stat(of, &object) != 0)
                die("nothing is held of", path);
            if (lstat(kept, &held) != 0 || held.st_ino != object.st_ino)
                keep_name(live.st_ino, name_of(path));
        }
    }
    closedir(entries);

    entries = opendir(folder);
    if (entries == NULL)
        return;
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;) {
        join(path, live_folder, entry->d_name);
        join(kept, folder, entry->d_name);
        if (lstat(path, &live) == 0)
            continue;
        if (syscall(SYS_unlinkat, AT_FDCWD, kept, 0) != 0) {
            // A directory, perhaps with names whose end was never synced: out of the way with all of it.
            char gone[PATH_MAX];
            snprintf(gone, sizeof gone, "%s/gone-%llu", state, (unsigned long long)control->count);
            if (syscall(SYS_renameat2, AT_FDCWD, kept, AT_FDCWD, gone, 0) != 0)
                die("cannot remove", kept);
        }
    }
    closedir(entries);
}

// A file was synced: its data and size are durable as they are, and its name if it had none.
static void keep_data(struct file *file, int fd, const struct stat *live)
{
    static char block[COPY_BYTES];
    struct dirty *dirty = file->dirty;
    char path[PATH_MAX];
    struct stat held;
    object_path(live->st_ino, path);
    int object = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CLOEXEC, 0);
    if (object < 0 || fstat(object, &held) != 0)
        die("nothing is held of", file->name);
    if (held.st_size != live->st_size && syscall(SYS_ftruncate, object, live->st_size) != 0)
        die("cannot set the size of", path);
    for (uint64_t sector = dirty->low; sector < dirty->high;) {
        if (sector % 8 == 0 && dirty->bits[sector / 8] == 0) {
            sector += 8;
            continue;
        }
        uint64_t first = sector;
        while (sector < dirty->high && sector - first < COPY_BYTES / SECTOR &&
               (dirty->bits[sector / 8] & 1 << sector % 8) != 0)
            sector++;
        if (sector == first) {
            sector++;
            continue;
        }
        // Short at the end of the file, and nothing beyond it.
        long got = syscall(SYS_pread64, fd, block, (sector - first) * SECTOR, first * SECTOR);
        if (got < 0 || (got > 0 && syscall(SYS_pwrite64, object, block, got, first * SECTOR) != got))
            die("cannot copy", file->name);
    }
    unmark_all(dirty);
    syscall(SYS_close, object);
    if (held.st_nlink == 1 && live->st_nlink > 0 && path_of(fd, path) && is_inside(path)) {
        char wanted[PATH_MAX];
        snprintf(wanted, sizeof wanted, "%s/tree/%s", state, name_of(path));
        if (stat(wanted, &held) != 0) {
            keep_name(live->st_ino, name_of(path));
        } else {
            *strrchr(path, '/') = '\0';
            keep_names(path);
        }
    }
}

// ---- Operations ----

static int refuse(int error)
{
    errno = error;
    return -1;
}

static int do_open(int at, const char *path, int flags, mode_t mode)
{
    char full[PATH_MAX];
    struct stat before, live;
    bool unnamed = (flags & O_TMPFILE) == O_TMPFILE;
    bool changes = (flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC)) != 0;
    if (!changes || (flags & O_PATH) != 0 || !resolve(at, path, full))
        return (int)syscall(SYS_openat, at, path, flags, mode);
    if (unnamed)
        die("unnamed files are not modelled", full);
    if (is(POWER) && (flags & O_DSYNC) != 0)
        die("writes that sync by themselves are not modelled", full);
    // To copy what was written, it must be read.
    if (is(POWER) && (flags & O_ACCMODE) == O_WRONLY)
        flags = (flags & ~O_ACCMODE) | O_RDWR;
    lock();
    int fd = -1;
    bool exists = fstatat(at, path, &before, 0) == 0;
    bool is_new = !exists && (flags & O_CREAT) != 0;
    bool shortens = exists && (flags & O_TRUNC) != 0 && (flags & O_EXCL) == 0 && S_ISREG(before.st_mode) &&
                    before.st_size > 0;
    int error = is_new ? count(CREATE, name_of(full), 0) : shortens ? count(TRUNCATE, name_of(full), 0) : 0;
    if (error == 0 && exists && is(READ_ONLY) && (flags & (O_CREAT | O_EXCL)) != (O_CREAT | O_EXCL))
        error = EROFS;
    if (error != 0) {
        errno = error;
    } else {
        if (shortens) {
            struct file *file = find(&before, -1, full);
            if (file != NULL)
                mark(file, 0, (uint64_t)before.st_size);
        }
        fd = (int)syscall(SYS_openat, at, path, flags, mode);
        if (fd >= 0 && shortens)
            give_room((uint64_t)before.st_size);
        if (fd >= 0 && is_new && fstat(fd, &live) == 0) {
            forget(place_of(&live));
            if (is(POWER))
                make_object(&live);
            struct file *file = find(&live, -1, full);
            if (file != NULL && file->dirty != NULL)
                unmark_all(file->dirty);
        }
    }
    unlock();
    return fd;
}

// `offset` below zero: at the position of the descriptor, which moves on.
static ssize_t raw_write(int fd, const struct iovec *parts, int n, off_t offset)
{
    if (offset < 0)
        return syscall(SYS_writev, fd, parts, n);
    return syscall(SYS_pwritev, fd, parts, n, (long)offset, 0L);
}

// Writes no more than the first `bytes`.
static ssize_t write_some(int fd, const struct iovec *parts, int n, off_t offset, uint64_t bytes)
{
    struct iovec some[IOV_MAX];
    int used = 0;
    for (; used < n && bytes > 0; used++) {
        some[used] = parts[used];
        if (some[used].iov_len > bytes)
            some[used].iov_len = bytes;
        bytes -= some[used].iov_len;
    }
    return raw_write(fd, some, used, offset);
}

// Writes to a file of ours, which is locked, and unlocks it.
static ssize_t do_write(struct file *file, int fd, const struct stat *live, const struct iovec *parts, int n,
                        off_t offset)
{
    uint64_t length = 0, size = (uint64_t)live->st_size;
    ssize_t written = -1;
    if (n < 0 || n > IOV_MAX) {
        unlock();
        return refuse(EINVAL);
    }
    for (int part = 0; part < n; part++)
        length += parts[part].iov_len;
    bool appends = (fcntl(fd, F_GETFL) & O_APPEND) != 0;
    uint64_t start = appends ? size : (uint64_t)(offset >= 0 ? offset : lseek(fd, 0, SEEK_CUR));
    int error = count(WRITE, file->name, length);
    if (error != 0 && is(HALF))
        length /= 2;
    else if (error != 0)
        length = 0;
    // A full disk takes what fits, then nothing.
    uint64_t grown = start + length > size ? start + length - size : 0;
    if (error == 0 && grown > control->room) {
        uint64_t over = grown - control->room;
        error = over >= length ? ENOSPC : 0;
        length = over >= length ? 0 : length - over;
    }
    mark(file, start, length);
    if (length > 0 || error == 0)
        written = write_some(fd, parts, n, offset, length);
    uint64_t end = start + (written > 0 ? (uint64_t)written : 0);
    if (end > size)
        take_room(end - size);
    if (error != 0) {
        errno = error;
        written = -1;
    }
    unlock();
    return written;
}

static void note_size(struct file *file, const struct stat *live, uint64_t size)
{
    uint64_t before = (uint64_t)live->st_size;
    if (size < before) {
        mark(file, size, before - size);
        give_room(before - size);
    }
}

// Whether a sync of this file is one that does nothing.
static bool is_in_vain(const char *name)
{
    return is(LYING) || (is(UNSYNCED_DATABASE) && strncmp(name, "relay.db", strlen("relay.db")) == 0);
}

static int do_sync(int fd)
{
    struct stat live;
    char path[PATH_MAX];
    if (control == NULL || fstat(fd, &live) != 0)
        return (int)syscall(SYS_fsync, fd);
    if (S_ISDIR(live.st_mode)) {
        if (!path_of(fd, path) || !is_inside(path))
            return (int)syscall(SYS_fsync, fd);
        lock();
        int error = count(SYNC, name_of(path), 0);
        if (error == 0 && is(POWER) && !is(LYING))
            keep_names(path);
        unlock();
        return error == 0 ? 0 : refuse(error);
    }
    struct file *file = lock_file(fd, &live);
    if (file == NULL)
        return (int)syscall(SYS_fsync, fd);
    int error = count(SYNC, file->name, 0);
    if (file->dirty != NULL && error != 0)
        // As Linux does: what could not be written counts as clean, and the next sync succeeds without it.
        unmark_all(file->dirty);
    else if (file->dirty != NULL && !is_in_vain(file->name))
        keep_data(file, fd, &live);
    unlock();
    return error == 0 ? 0 : refuse(error);
}

static int do_rename(int old_at, const char *old, int new_at, const char *new, unsigned flags)
{
    char from[PATH_MAX], to[PATH_MAX];
    struct stat moved, replaced;
    bool leaves = resolve(old_at, old, from), arrives = resolve(new_at, new, to);
    if ((!leaves && !arrives) || fstatat(old_at, old, &moved, AT_SYMLINK_NOFOLLOW) != 0)
        return (int)syscall(SYS_renameat2, old_at, old, new_at, new, flags);
    if ((flags & RENAME_EXCHANGE) != 0)
        die("an exchange is not modelled", to);
    if (is(POWER) && S_ISDIR(moved.st_mode))
        die("renaming a directory is not modelled", from);
    if (is(POWER) && leaves && arrives) {
        size_t folder = (size_t)(strrchr(from, '/') - from);
        if ((size_t)(strrchr(to, '/') - to) != folder || strncmp(from, to, folder) != 0)
            die("a rename between directories is not modelled", to);
    }
    lock();
    bool replaces = fstatat(new_at, new, &replaced, AT_SYMLINK_NOFOLLOW) == 0;
    int error = count(RENAME, name_of(arrives ? to : from), 0);
    int done = error != 0 ? refuse(error) : (int)syscall(SYS_renameat2, old_at, old, new_at, new, flags);
    if (done == 0) {
        forget_inode(&moved);
        if (replaces) {
            forget_inode(&replaced);
            if (replaced.st_nlink == 1)
                give_room((uint64_t)replaced.st_size);
        }
    }
    unlock();
    return done;
}

static int do_unlink(int at, const char *path, int flags)
{
    char full[PATH_MAX];
    struct stat live;
    if (!resolve(at, path, full) || fstatat(at, path, &live, AT_SYMLINK_NOFOLLOW) != 0)
        return (int)syscall(SYS_unlinkat, at, path, flags);
    lock();
    int error = count(UNLINK, name_of(full), 0);
    int done = error != 0 ? refuse(error) : (int)syscall(SYS_unlinkat, at, path, flags);
    if (done == 0) {
        forget_inode(&live);
        if (S_ISREG(live.st_mode) && live.st_nlink == 1)
            give_room((uint64_t)live.st_size);
    }
    unlock();
    return done;
}

static int do_mkdir(int at, const char *path, mode_t mode)
{
    char full[PATH_MAX];
    struct stat live;
    if (!resolve(at, path, full) || fstatat(at, path, &live, AT_SYMLINK_NOFOLLOW) == 0)
        return (int)syscall(SYS_mkdirat, at, path, mode);
    lock();
    int error = count(CREATE, name_of(full), 0);
    int done = error != 0 ? refuse(error) : (int)syscall(SYS_mkdirat, at, path, mode);
    unlock();
    return done;
}

static int do_link(int old_at, const char *old, int new_at, const char *new, int flags)
{
    char full[PATH_MAX];
    struct stat live;
    if (!resolve(new_at, new, full) || fstatat(new_at, new, &live, AT_SYMLINK_NOFOLLOW) == 0)
        return (int)syscall(SYS_linkat, old_at, old, new_at, new, flags);
    lock();
    int error = count(CREATE, name_of(full), 0);
    int done = error != 0 ? refuse(error) : (int)syscall(SYS_linkat, old_at, old, new_at, new, flags);
    unlock();
    return done;
}

static int do_allocate(int fd, int mode, off_t offset, off_t length)
{
    struct stat live;
    struct file *file = lock_file(fd, &live);
    if (file == NULL)
        return (int)syscall(SYS_fallocate, fd, mode, offset, length);
    uint64_t size = (uint64_t)live.st_size, end = (uint64_t)(offset + length);
    uint64_t grown = end > size ? end - size : 0;
    int error = count(ALLOCATE, file->name, (uint64_t)length);
    if (error == 0 && grown > control->room)
        error = ENOSPC;
    int done = error != 0 ? refuse(error) : (int)syscall(SYS_fallocate, fd, mode, offset, length);
    if (done == 0) {
        take_room(grown);
        // Holes, zeros, moved ranges: from here on anything may read differently.
        if (mode != 0)
            mark(file, (uint64_t)offset, (end > size ? end : size) - (uint64_t)offset);
    }
    unlock();
    return done;
}

static bool is_ours(int fd)
{
    struct stat live;
    bool ours = lock_file(fd, &live) != NULL;
    if (ours)
        unlock();
    return ours;
}

// ---- The functions that are replaced ----

#define MODE(flags, mode)                                                                                              \
    mode_t mode = 0;                                                                                                   \
    if (((flags) & O_CREAT) != 0 || ((flags) & O_TMPFILE) == O_TMPFILE) {                                              \
        va_list rest;                                                                                                  \
        va_start(rest, flags);                                                                                         \
        mode = va_arg(rest, mode_t);                                                                                   \
        va_end(rest);                                                                                                  \
    }

int open(const char *path, int flags, ...)
{
    MODE(flags, mode)
    return do_open(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    MODE(flags, mode)
    return do_open(AT_FDCWD, path, flags, mode);
}

int openat(int at, const char *path, int flags, ...)
{
    MODE(flags, mode)
    return do_open(at, path, flags, mode);
}

int openat64(int at, const char *path, int flags, ...)
{
    MODE(flags, mode)
    return do_open(at, path, flags, mode);
}

int creat(const char *path, mode_t mode)
{
    return do_open(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, mode);
}

int creat64(const char *path, mode_t mode)
{
    return creat(path, mode);
}

// What glibc's checked builds call when no mode is given.
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int at, const char *path, int flags);
int __openat64_2(int at, const char *path, int flags);

int __open_2(const char *path, int flags)
{
    return do_open(AT_FDCWD, path, flags, 0);
}

int __open64_2(const char *path, int flags)
{
    return do_open(AT_FDCWD, path, flags, 0);
}

int __openat_2(int at, const char *path, int flags)
{
    return do_open(at, path, flags, 0);
}

int __openat64_2(int at, const char *path, int flags)
{
    return do_open(at, path, flags, 0);
}

ssize_t write(int fd, const void *bytes, size_t length)
{
    struct stat live;
    struct file *file = lock_file(fd, &live);
    if (file == NULL)
        return syscall(SYS_write, fd, bytes, length);
    struct iovec part = { (void *)bytes, length };
    return do_write(file, fd, &live, &part, 1, -1);
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset)
{
    struct stat live;
    struct file *file = offset < 0 ? NULL : lock_file(fd, &live);
    if (file == NULL)
        return syscall(SYS_pwrite64, fd, bytes, length, offset);
    struct iovec part = { (void *)bytes, length };
    return do_write(file, fd, &live, &part, 1, offset);
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset)
{
    return pwrite(fd, bytes, length, offset);
}

ssize_t writev(int fd, const struct iovec *parts, int n)
{
    struct stat live;
    struct file *file = lock_file(fd, &live);
    return file == NULL ? raw_write(fd, parts, n, -1) : do_write(file, fd, &live, parts, n, -1);
}

ssize_t pwritev(int fd, const struct iovec *parts, int n, off_t offset)
{
    struct stat live;
    struct file *file = offset < 0 ? NULL : lock_file(fd, &live);
    if (file == NULL)
        return syscall(SYS_pwritev, fd, parts, n, (long)offset, 0L);
    return do_write(file, fd, &live, parts, n, offset);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int n, off64_t offset)
{
    return pwritev(fd, parts, n, offset);
}

// These write behind the counter's back; whoever calls them knows another way.
ssize_t copy_file_range(int in, off64_t *in_at, int out, off64_t *out_at, size_t length, unsigned flags)
{
    if (is_ours(out))
        return refuse(ENOSYS);
    return syscall(SYS_copy_file_range, in, in_at, out, out_at, length, flags);
}

ssize_t sendfile(int out, int in, off_t *at, size_t length)
{
    return is_ours(out) ? refuse(EINVAL) : syscall(SYS_sendfile, out, in, at, length);
}

ssize_t sendfile64(int out, int in, off64_t *at, size_t length)
{
    return sendfile(out, in, at, length);
}

ssize_t splice(int in, off64_t *in_at, int out, off64_t *out_at, size_t length, unsigned flags)
{
    return is_ours(out) ? refuse(EINVAL) : syscall(SYS_splice, in, in_at, out, out_at, length, flags);
}

ssize_t pwritev2(int fd, const struct iovec *parts, int n, off_t offset, int flags)
{
    return is_ours(fd) ? refuse(ENOSYS) : syscall(SYS_pwritev2, fd, parts, n, (long)offset, 0L, flags);
}

ssize_t pwritev64v2(int fd, const struct iovec *parts, int n, off64_t offset, int flags)
{
    return pwritev2(fd, parts, n, offset, flags);
}

int ftruncate(int fd, off_t size)
{
    struct stat live;
    struct file *file = lock_file(fd, &live);
    if (file == NULL)
        return (int)syscall(SYS_ftruncate, fd, size);
    int error = count(TRUNCATE, file->name, (uint64_t)size);
    int done = error != 0 ? refuse(error) : (int)syscall(SYS_ftruncate, fd, size);
    if (done == 0)
        note_size(file, &live, (uint64_t)size);
    unlock();
    return done;
}

int ftruncate64(int fd, off64_t size)
{
    return ftruncate(fd, size);
}

int truncate(const char *path, off_t size)
{
    char full[PATH_MAX];
    struct stat live;
    if (!resolve(AT_FDCWD, path, full) || stat(path, &live) != 0 || !S_ISREG(live.st_mode))
        return (int)syscall(SYS_truncate, path, size);
    lock();
    int error = count(TRUNCATE, name_of(full), (uint64_t)size);
    int done = error != 0 ? refuse(error) : (int)syscall(SYS_truncate, path, size);
    struct file *file = done == 0 ? find(&live, -1, full) : NULL;
    if (file != NULL)
        note_size(file, &live, (uint64_t)size);
    unlock();
    return done;
}

int truncate64(const char *path, off64_t size)
{
    return truncate(path, size);
}

int fallocate(int fd, int mode, off_t offset, off_t length)
{
    return do_allocate(fd, mode, offset, length);
}

int fallocate64(int fd, int mode, off64_t offset, off64_t length)
{
    return do_allocate(fd, mode, offset, length);
}

int posix_fallocate(int fd, off_t offset, off_t length)
{
    return do_allocate(fd, 0, offset, length) == 0 ? 0 : errno;
}

int posix_fallocate64(int fd, off64_t offset, off64_t length)
{
    return posix_fallocate(fd, offset, length);
}

int fsync(int fd)
{
    return do_sync(fd);
}

int fdatasync(int fd)
{
    return do_sync(fd);
}

// Promises nothing after a power cut (its manual says so): counted, and nothing is kept.
int sync_file_range(int fd, off64_t offset, off64_t length, unsigned flags)
{
    struct stat live;
    struct file *file = lock_file(fd, &live);
    if (file == NULL)
        return (int)syscall(SYS_sync_file_range, fd, offset, length, flags);
    int error = count(SYNC, file->name, 0);
    unlock();
    return error == 0 ? 0 : refuse(error);
}

int rename(const char *old, const char *new)
{
    return do_rename(AT_FDCWD, old, AT_FDCWD, new, 0);
}

int renameat(int old_at, const char *old, int new_at, const char *new)
{
    return do_rename(old_at, old, new_at, new, 0);
}

int renameat2(int old_at, const char *old, int new_at, const char *new, unsigned flags)
{
    return do_rename(old_at, old, new_at, new, flags);
}

int unlink(const char *path)
{
    return do_unlink(AT_FDCWD, path, 0);
}

int unlinkat(int at, const char *path, int flags)
{
    return do_unlink(at, path, flags);
}

int rmdir(const char *path)
{
    return do_unlink(AT_FDCWD, path, AT_REMOVEDIR);
}

int mkdir(const char *path, mode_t mode)
{
    return do_mkdir(AT_FDCWD, path, mode);
}

int mkdirat(int at, const char *path, mode_t mode)
{
    return do_mkdir(at, path, mode);
}

int link(const char *old, const char *new)
{
    return do_link(AT_FDCWD, old, AT_FDCWD, new, 0);
}

int linkat(int old_at, const char *old, int new_at, const char *new, int flags)
{
    return do_link(old_at, old, new_at, new, flags);
}
