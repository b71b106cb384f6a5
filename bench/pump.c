/* Sends the media messages that are due in one millisecond: byte for byte those of line.py, for a tenth of the cost.
 *
 * Python dials, listens and hangs up. It calls this for lines on whose connection nothing waits, so that a message never
 * comes into the middle of another; a line whose socket takes no more is given back.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { IDLE, READY, BUSY, STUCK }; /* as in pump.py */
enum { VARIANTS = 16, REST = 168, STAMP = 36, HEAD = 8, ROOM = 512 };

struct line {
    int32_t fd, status;
    uint32_t call, sent, begun, round, spoken, left;
    char stream[36];
    char unsent[ROOM]; /* `left` bytes that the socket did not take */
};

static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* The layout of stamps.py: magic, speech, nothing, call, sequence, time; a quiet audio byte for every half byte. */
static void stamp(char *text, const struct line *line, int speech, uint64_t sent_ns)
{
    uint8_t packed[STAMP / 2] = {0xED, 0x5E, speech, 0, line->call, line->call >> 8}, audio[STAMP];
    for (int at = 0; at < 4; at++)
        packed[6 + at] = line->sent >> 8 * at;
    for (int at = 0; at < 8; at++)
        packed[10 + at] = sent_ns >> 8 * at;
    for (int at = 0; at < STAMP; at++)
        audio[at] = 0xF0 | (at % 2 ? packed[at / 2] & 15 : packed[at / 2] >> 4);
    for (int at = 0; at < STAMP; at += 3) {
        uint32_t three = audio[at] << 16 | audio[at + 1] << 8 | audio[at + 2];
        for (int shift = 18; shift >= 0; shift -= 6)
            *text++ = DIGITS[three >> shift & 63];
    }
    *text = 0;
}

static int message(char *frame, const struct line *line, const char *speech, const char *quiet, uint64_t now_ns)
{
    char stamped[STAMP / 3 * 4 + 1];
    int speaks = (line->sent + line->begun) % line->round < line->spoken;
    stamp(stamped, line, speaks, now_ns);
    int size = snprintf(frame + HEAD, ROOM - HEAD,
                        "{\"event\":\"media\",\"sequenceNumber\":\"%u\",\"media\":{\"track\":\"inbound\",\"chunk\":\"%u\","
                        "\"timestamp\":\"%u\",\"payload\":\"%s%.*s\"},\"streamSid\":\"%s\"}",
                        line->sent + 2, line->sent + 1, 60 + 20 * line->sent, stamped, REST,
                        (speaks ? speech : quiet) + line->sent % VARIANTS * REST, line->stream);
    /* Text, whole, masked with the key 0 (frames.py). */
    const char head[HEAD] = {(char)0x81, (char)0xFE, (char)(size >> 8), (char)size, 0, 0, 0, 0};
    memcpy(frame, head, HEAD);
    return HEAD + size;
}

/* Send the next frame of every `step`th of `count` lines from `first` on; returns how many of them need Python.
 * `late_ms` gets a number for each frame sent, and `sent` how many these are.
 */
int send_due(struct line **lines, int first, int count, int step, const char *speech, const char *quiet, uint64_t due_ns,
             double *late_ms, int *sent)
{
    int others = 0;
    *sent = 0;
    for (int at = first; at < count; at += step) {
        struct line *line = lines[at];
        if (!line || line->status != READY) {
            others += line && line->status == BUSY;
            continue;
        }
        struct timespec clock;
        clock_gettime(CLOCK_MONOTONIC, &clock);
        uint64_t now_ns = clock.tv_sec * 1000000000ULL + clock.tv_nsec;
        char frame[ROOM];
        int size = message(frame, line, speech, quiet, now_ns);
        ssize_t taken = send(line->fd, frame, size, MSG_DONTWAIT | MSG_NOSIGNAL);
        line->sent++;
        late_ms[(*sent)++] = (int64_t)(now_ns - due_ns) / 1e6;
        if (taken == size)
            continue;
        if (taken < 0 && errno != EAGAIN && errno != EWOULDBLOCK) {
            line->status = IDLE; /* the connection is gone; the event loop will tell */
            continue;
        }
        line->left = size - (taken > 0 ? taken : 0);
        memcpy(line->unsent, frame + size - line->left, line->left);
        line->status = STUCK;
        others++;
    }
    return others;
}
