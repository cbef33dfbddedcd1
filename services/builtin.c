/*
 * builtin: the small services that inetd has built in, as a program to be served like any other: echo,
 * discard, chargen, daytime, time and qotd (RFC 862, 863, 864, 867, 868, 865).
 *
 *   builtin NAME                serves the connection on stdin and stdout
 *   builtin --datagram NAME     answers the datagrams that come to the socket on stdin, and ends when none
 * comes any more
 *
 * Try it:  echo hello | dist/services/builtin echo
 *          dist/services/builtin qotd --file services/quotes.txt
 *
 * Exit status: 0 done, the client having left included; 1 something is broken; 2 wrong usage.
 */

#include "builtin.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum { WRONG_USAGE = 2, LONGEST_IDLE = 86400, HIGHEST_RATE = 9999999, LONGEST_RATE = 86400 };

static const struct {
  const char *name;
  Stream *stream;
  Answer *answer; /* for datagrams, and for a stream that is one answer and the end */
} services[] = {
    {"chargen", stream_chargen, answer_chargen}, {"daytime", stream_answer, answer_daytime},
    {"discard", stream_discard, answer_nothing}, {"echo", stream_echo, answer_echo},
    {"qotd", stream_answer, answer_quote},       {"time", stream_answer, answer_time},
};
enum { SERVICES = sizeof services / sizeof *services };

static const char usage[] =
    "Usage: builtin [--file PATH] NAME\n"
    "       builtin --datagram [--idle SECONDS] [--ports LIST] [--rate COUNT] [--amplify]\n"
    "               [--file PATH] NAME\n"
    "\n"
    "NAME is chargen, daytime, discard, echo, qotd or time.\n"
    "\n"
    "  --datagram       stdin is a datagram socket; without this, stdin and stdout are a connection\n"
    "  --idle SECONDS   end when no datagram has come for so long (30)\n"
    "  --ports LIST     answer no datagram from these source ports, such as 7007,7100-7199\n"
    "  --rate COUNT     answer one host so many times a second, and no more (100); 300/60: in 60 seconds\n"
    "  --amplify        answer with more bytes than were asked with\n"
    "  --file PATH      qotd's quotes, with a line that is a lone % between two of them\n";

static Options options = {.idle_seconds = 30, .rate = 100, .rate_seconds = 1};

static _Noreturn void point_to_help(void) {
  fputs("Try: builtin --help\n", stderr);
  exit(WRONG_USAGE);
}

static _Noreturn void misused(const char *problem, const char *culprit) {
  fprintf(stderr, "builtin: %s%s\n", problem, culprit);
  point_to_help();
}

/* Reads a number that ends where the text has one of the characters in `ends`, or ends itself. */
static long parse_number(const char **text, const char *ends, long highest) {
  char *end;
  const bool starts_well = **text >= '0' && **text <= '9';
  const long number = strtol(*text, &end, 10);
  if (!starts_well || number > highest || (*end != '\0' && strchr(ends, *end) == NULL)) return -1;
  *text = end;
  return number;
}

static void parse_idle(const char *text) {
  options.idle_seconds = (int)parse_number(&text, "", LONGEST_IDLE);
  if (options.idle_seconds < 1) misused("--idle takes whole seconds, from 1 to 86400", "");
}

/* COUNT, or COUNT/SECONDS. */
static void parse_rate(const char *text) {
  options.rate = (int)parse_number(&text, "/", HIGHEST_RATE);
  if (options.rate < 1) misused("--rate takes a number from 1 to 9999999", "");
  if (*text == '\0') return;
  text += 1;
  options.rate_seconds = (int)parse_number(&text, "", LONGEST_RATE);
  if (options.rate_seconds < 1) misused("behind the slash --rate takes seconds, from 1 to 86400", "");
}

/* PORT or FIRST-LAST. Leaves `text` at what follows. */
static bool parse_port_range(const char **text) {
  const long first = parse_number(text, ",-", 65535);
  long last = first;
  if (first >= 0 && **text == '-') {
    *text += 1;
    last = parse_number(text, ",", 65535);
  }
  if (first < 0 || last < first) return false;
  for (long port = first; port <= last; port++) options.refused_port[port] = true;
  return true;
}

static void parse_ports(const char *list) {
  const char *text = list;
  bool more = *list != '\0'; /* an empty list is a list */
  while (more) {
    if (!parse_port_range(&text)) misused("--ports takes ports and ranges, such as 7,7100-7199, not ", list);
    more = *text == ',';
    text += more;
  }
}

static int find_service(const char *name) {
  for (int index = 0; index < SERVICES; index++)
    if (strcmp(services[index].name, name) == 0) return index;
  misused("the services are chargen, daytime, discard, echo, qotd and time; there is no ", name);
}

/* Reads all options, and returns the one that only datagrams know, if there was one. */
static const char *parse_options(int argc, char **argv, bool *datagram) {
  static const struct option known[] = {
      {"datagram", no_argument, NULL, 'd'},    {"idle", required_argument, NULL, 'i'},
      {"ports", required_argument, NULL, 'p'}, {"rate", required_argument, NULL, 'r'},
      {"amplify", no_argument, NULL, 'a'},     {"file", required_argument, NULL, 'f'},
      {"help", no_argument, NULL, 'h'},        {NULL, 0, NULL, 0},
  };
  const char *for_datagrams = NULL;
  int which, letter;
  while ((letter = getopt_long(argc, argv, "", known, &which)) != -1) {
    if (letter == '?') point_to_help(); /* getopt has said why */
    if (letter == 'h') exit(fputs(usage, stdout) < 0 || fflush(stdout) != 0);
    if (letter == 'd') *datagram = true;
    if (letter == 'i') parse_idle(optarg);
    if (letter == 'p') parse_ports(optarg);
    if (letter == 'r') parse_rate(optarg);
    if (letter == 'a') options.amplify = true;
    if (letter == 'f') options.quotes = optarg;
    if (strchr("ipra", letter) != NULL) for_datagrams = known[which].name;
  }
  return for_datagrams;
}

int main(int argc, char **argv) {
  prctl(PR_SET_DUMPABLE, 0); /* no other process of our user may take our descriptors */
  bool datagram = false;
  const char *for_datagrams = parse_options(argc, argv, &datagram);

  if (optind != argc - 1) misused("it takes the name of one service", "");
  const int service = find_service(argv[optind]);
  if (!datagram && for_datagrams != NULL) misused("only with --datagram: --", for_datagrams);
  if ((services[service].answer == answer_quote) != (options.quotes != NULL))
    misused("qotd, and only qotd, needs --file PATH", "");

  signal(SIGPIPE, SIG_IGN); /* a client may leave at any time: a failed write tells it */
  srandom((unsigned)time(NULL) ^ (unsigned)getpid());
  if (datagram) return serve_datagrams(services[service].answer, &options);
  return services[service].stream(services[service].answer, &options);
}
