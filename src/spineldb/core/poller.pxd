"""Waiting for sockets: epoll on Linux, kqueue on macOS and the BSDs, behind seven functions.

A listener is reported as long as somebody waits there. A client is reported by epoll when something
new has come and not again (edge-triggered: to ask every socket twice costs some per cent of a
request), so whoever leaves something unread must come back by himself; ENDS says that the peer
sends nothing more. A tag is a pointer that comes back with each event. The functions answer as the
system calls do: -1 and errno.
"""

cdef extern from *:
    """
    #include <errno.h>
    #include <fcntl.h>
    #include <sys/socket.h>
    #include <unistd.h>

    enum { SPINEL_READABLE = 1, SPINEL_WRITABLE = 2, SPINEL_HANGUP = 4, SPINEL_ENDS = 8 };

    #ifndef MSG_NOSIGNAL
    #define MSG_NOSIGNAL 0          /* Python ignores SIGPIPE for the whole process */
    #endif

    #ifdef __linux__
    #include <sys/epoll.h>
    typedef struct epoll_event poller_event;

    static inline int poller_open(void) { return epoll_create1(EPOLL_CLOEXEC); }

    static inline int poller_control(int poller, int op, int fd, void *tag, int what, int how) {
        struct epoll_event event;
        event.events = (what & SPINEL_READABLE ? EPOLLIN | EPOLLRDHUP : 0)
                     | (what & SPINEL_WRITABLE ? EPOLLOUT : 0) | how;
        event.data.ptr = tag;
        return epoll_ctl(poller, op, fd, &event);
    }
    static inline int poller_add(int poller, int fd, void *tag) {
        return poller_control(poller, EPOLL_CTL_ADD, fd, tag, SPINEL_READABLE, 0);
    }
    static inline int poller_add_client(int poller, int fd, void *tag) {
        return poller_control(poller, EPOLL_CTL_ADD, fd, tag, SPINEL_READABLE, EPOLLET);
    }
    static inline int poller_change(int poller, int fd, void *tag, int before, int after) {
        (void)before;
        return poller_control(poller, EPOLL_CTL_MOD, fd, tag, after, EPOLLET);
    }
    static inline int poller_remove(int poller, int fd) {
        struct epoll_event unused;
        return epoll_ctl(poller, EPOLL_CTL_DEL, fd, &unused);
    }
    static inline int poller_wait(int poller, poller_event *events, int limit) {
        return epoll_wait(poller, events, limit, 0);
    }
    static inline void *poller_tag(const poller_event *event) { return event->data.ptr; }
    static inline int poller_what(const poller_event *event) {
        return (event->events & (EPOLLIN | EPOLLRDHUP) ? SPINEL_READABLE : 0)
             | (event->events & EPOLLOUT ? SPINEL_WRITABLE : 0)
             | (event->events & (EPOLLHUP | EPOLLERR) ? SPINEL_HANGUP : 0)
             | (event->events & (EPOLLRDHUP | EPOLLHUP) ? SPINEL_ENDS : 0);
    }
    static inline int accept_nonblocking(int fd, struct sockaddr *address, socklen_t *size) {
        return accept4(fd, address, size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    }
    #else
    #include <sys/event.h>
    #include <sys/time.h>
    typedef struct kevent poller_event;

    static inline int poller_open(void) {
        int poller = kqueue();
        if (poller >= 0)
            fcntl(poller, F_SETFD, FD_CLOEXEC);
        return poller;
    }
    static inline int poller_change(int poller, int fd, void *tag, int before, int after) {
        struct kevent changes[2];
        int count = 0;
        if ((before ^ after) & SPINEL_READABLE) {
            EV_SET(&changes[count], fd, EVFILT_READ,
                   after & SPINEL_READABLE ? EV_ADD : EV_DELETE, 0, 0, tag);
            count++;
        }
        if ((before ^ after) & SPINEL_WRITABLE) {
            EV_SET(&changes[count], fd, EVFILT_WRITE,
                   after & SPINEL_WRITABLE ? EV_ADD : EV_DELETE, 0, 0, tag);
            count++;
        }
        return count ? kevent(poller, changes, count, NULL, 0, NULL) : 0;
    }
    static inline int poller_add(int poller, int fd, void *tag) {
        return poller_change(poller, fd, tag, 0, SPINEL_READABLE);
    }
    static inline int poller_add_client(int poller, int fd, void *tag) {
        return poller_add(poller, fd, tag);
    }
    static inline int poller_remove(int poller, int fd) {
        struct kevent change;
        EV_SET(&change, fd, EVFILT_WRITE, EV_DELETE, 0, 0, NULL);
        kevent(poller, &change, 1, NULL, 0, NULL);
        EV_SET(&change, fd, EVFILT_READ, EV_DELETE, 0, 0, NULL);
        return kevent(poller, &change, 1, NULL, 0, NULL);
    }
    static inline int poller_wait(int poller, poller_event *events, int limit) {
        struct timespec now = {0, 0};
        return kevent(poller, NULL, 0, events, limit, &now);
    }
    static inline void *poller_tag(const poller_event *event) { return event->udata; }
    static inline int poller_what(const poller_event *event) {
        return (event->filter == EVFILT_READ ? SPINEL_READABLE : SPINEL_WRITABLE)
             | (event->flags & EV_ERROR ? SPINEL_HANGUP : 0);
    }
    static inline int accept_nonblocking(int fd, struct sockaddr *address, socklen_t *size) {
        int accepted = accept(fd, address, size);
        if (accepted >= 0) {
            fcntl(accepted, F_SETFL, O_NONBLOCK);
            fcntl(accepted, F_SETFD, FD_CLOEXEC);
        }
        return accepted;
    }
    #endif
    """
    enum:
        READABLE "SPINEL_READABLE"
        WRITABLE "SPINEL_WRITABLE"
        HANGUP "SPINEL_HANGUP"
        ENDS "SPINEL_ENDS"
        MSG_NOSIGNAL

    ctypedef struct poller_event:
        pass

    ctypedef unsigned int socklen_t
    struct sockaddr:
        pass

    int poller_open() nogil
    # A new descriptor is polled for reading; poller_change() says from what to what.
    int poller_add(int poller, int fd, void* tag) nogil
    int poller_add_client(int poller, int fd, void* tag) nogil
    int poller_change(int poller, int fd, void* tag, int before, int after) nogil
    int poller_remove(int poller, int fd) nogil
    # Never waits: the event loop does.
    int poller_wait(int poller, poller_event* events, int limit) nogil
    void* poller_tag(const poller_event* event) nogil
    int poller_what(const poller_event* event) nogil

    int accept_nonblocking(int fd, sockaddr* address, socklen_t* size) nogil
