// Generated from native/core/contract/layout_fields.h by `npm run generate`. Do not edit.
// Names that start with D_ and C_ are byte offsets in a descriptor and in the ring's control block.

export const DESCRIPTOR_BYTES = 64;
export const D_SOCKET_ID = 0;
export const D_OFFSET = 4;
export const D_LENGTH = 8;
export const D_SEGMENT_SIZE = 12;
export const D_FLAGS = 14;
export const D_PEER_ID = 16;
export const D_SEND_ID = 16;
export const D_PORT = 20;
export const D_FAMILY = 22;
export const D_KIND = 23;
export const D_ADDRESS = 24;
export const D_SCOPE_ID = 40;
export const D_SIZE = 44;
export const D_RESULT = 44;
export const D_USER_DATA = 48;
export const D_SOURCE = 62;
export const SOURCE_BYTES = 32;
export const S_ADDRESS = 0;
export const S_IFINDEX = 16;
export const S_TX_TIME_NS = 24;
export const FLAG_TIMED = 8;
export const FLAG_SAYS_MORE = 4;
export const TOS_SAID = 256;
export const PACKET_INFO_BYTES = 64;
export const P_LOCAL = 0;
export const P_ANSWER_FROM = 16;
export const P_ORIGINAL = 32;
export const P_IFINDEX = 48;
export const P_ORIGINAL_PORT = 52;
export const P_LOCAL_FAMILY = 54;
export const P_ORIGINAL_FAMILY = 55;
export const KIND_DATAGRAM = 0;
export const KIND_ERROR = 1;
export const KIND_SENT = 2;
export const KIND_DRAINED = 3;
export const KIND_PEER_ERROR = 4;
export const KIND_SEND_TIME = 5;
export const CREDENTIALS = 1;
export const RIGHTS_TRUNCATED = 2147483648;
export const FLAG_TRUNCATED = 1;
export const FLAG_PACKET_INFO = 2;
export const FLAG_IN_CHUNK = 16;
export const CHUNK_SHIFT = 8;
export const CHUNKS = 8;
export const CHUNK_BYTES = 65536;
export const CONTROL_BYTES = 256;
export const C_THREAD_ID = 8;
export const C_HEAD = 0;
export const C_BASE = 4;
export const C_TAIL = 64;
export const C_CROWDING = 68;
export const C_STAGED = 72;
export const C_WAKE_PENDING = 128;
export const C_PRODUCER_WAITING = 192;
export const SOCKET_SLOT_BITS = 20;
export const DATAGRAM_BYTES_MAX = 65535;
export const JOINED_BYTES_MAX = 65487;
export const GSO_SEGMENTS_MIN = 64;
export const RESULT_DEFERRED = -2147483648;
export const PEERS_MAX = 16384;
export const COUNTERS_PER_ROW = 48;
export const COUNTER_ROWS_PER_PAGE = 128;
export const LATENCY_SUB_BUCKET_BITS = 3;
export const LATENCY_BUCKETS = 177;
export const LATENCY_SUM = 177;
export const LATENCY_CELLS = 178;
export const LAYOUT_HASH = 605172189;

// What the kernel said beside a received datagram.
export const D_RECEIVED_NS = 48;
export const D_TOS = 56;
export const D_TTL = 58;

// What IoThread.open is asked for.
export const OPEN_REUSE_ADDRESS = 1;
export const OPEN_REUSE_PORT = 2;
export const OPEN_IPV6_ONLY = 4;
export const OPEN_GRO = 8;
export const OPEN_GSO = 16;
export const OPEN_DROP_WHEN_FULL = 32;
export const OPEN_RECEIVE_TTL = 64;
export const OPEN_RECEIVE_TOS = 128;
export const OPEN_RECEIVE_LOCAL = 256;
export const OPEN_RECEIVE_ORIGINAL = 512;
export const OPEN_RECEIVE_TIMES = 1024;
export const OPEN_RECEIVE_ERRORS = 2048;
export const OPEN_RECEIVE_CREDENTIALS = 4096;
export const OPEN_RECEIVE_RIGHTS = 8192;
export const OPEN_OPTIONAL_SHIFT = 16;

// Rows of the native table of socket options.
export const SocketOption = {
  reuseAddress: 0,
  reusePort: 1,
  ipv6Only: 2,
  broadcast: 3,
  receiveBufferBytes: 4,
  sendBufferBytes: 5,
  ttl: 6,
  multicastTtl: 7,
  multicastLoopback: 8,
  reportKernelDrops: 9,
  gro: 10,
  receiveTimes: 11,
  busyPoll: 12,
  preferBusyPoll: 13,
  receiveTtl: 14,
  receiveTos: 15,
  receiveLocal: 16,
  receiveOriginal: 17,
  receiveErrors: 18,
  receiveCredentials: 19,
  sendTimes: 20,
  txTime: 21,
  bindToDevice: 22,
  mark: 23,
  transparent: 24,
  freebind: 25,
  mtuDiscover: 26,
  maxPacingRate: 27,
} as const;

// Where each counter stands in its row.
export const counterIndex = {
  /** datagrams received, after GRO was split */
  rxDatagrams: 0,
  /** payload bytes received */
  rxBytes: 1,
  /** receive system calls */
  rxCalls: 2,
  /** receive calls that returned something */
  rxBatches: 3,
  /** super-datagrams that the kernel had joined (GRO) */
  rxGroBatches: 4,
  /** datagrams that came in super-datagrams */
  rxGroSegments: 5,
  /** datagrams cut to the receive limit */
  rxTruncated: 6,
  /** datagrams of which not all descriptors could be taken (MSG_CTRUNC) */
  rxDescriptorsTruncated: 7,
  /** receive calls that failed */
  rxErrors: 8,
  /** ICMP errors received about datagrams sent */
  rxPeerErrors: 9,
  /** times received of when datagrams were sent */
  rxSendTimes: 10,
  /** datagrams not sent, as their departure time had passed */
  rxMissedTxTimes: 11,
  /** datagrams the kernel dropped, receive buffer full (SO_RXQ_OVFL, SO_MEMINFO) */
  rxKernelDrops: 12,
  /** datagrams read and dropped, ring full */
  rxRingDrops: 13,
  /** datagrams dropped because an async iterator fell behind */
  rxQueueDrops: 14,
  /** datagrams that were not handed out yet when the socket closed */
  rxCloseDrops: 15,
  /** datagrams from addresses of the socket's block list */
  rxBlocked: 16,
  /** times that receiving stopped because the ring was full */
  rxPauses: 17,
  /** datagrams the kernel took */
  txDatagrams: 32,
  /** payload bytes the kernel took */
  txBytes: 33,
  /** send system calls */
  txCalls: 34,
  /** super-datagrams sent (GSO) */
  txGsoBatches: 35,
  /** datagrams that left in super-datagrams */
  txGsoSegments: 36,
  /** super-datagrams refused and sent one by one */
  txGsoFallbacks: 37,
  /** datagrams the kernel refused */
  txErrors: 38,
  /** datagrams that waited for the socket to be writable */
  txDeferred: 39,
  /** datagrams the kernel took that ask for the time they are sent at */
  txTimed: 40,
  /** datagrams dropped: backlog full, or closed while waiting */
  txDropped: 41,
} as const;

// Of a server that answers by rules, in the same row.
export const serverCounterIndex = {
  /** datagrams from sources that the lists refuse, seen by the thread */
  denied: 18,
  /** datagrams over a source's rate */
  limited: 19,
  /** datagrams over the server's rate */
  limitedTotal: 20,
  /** answers not sent: to ourselves, to nobody, to a service that answers by itself */
  loopSources: 21,
  /** answers not sent: to a peer that only answers answers */
  loopRepeats: 22,
  /** datagrams that a rule, or the default, dropped */
  ruleDrops: 23,
  /** replies made by rules and handlers, echoes too */
  replies: 24,
  /** replies not sent because they are longer than the request */
  refusedReplies: 25,
  /** datagrams sent on to a back end */
  forwarded: 26,
  /** answers of back ends */
  returned: 27,
  /** datagrams not forwarded: no place for a flow, or no socket */
  forwardDrops: 28,
  /** clients that got a socket to a back end */
  flowsOpened: 29,
  /** of these, closed because they were idle */
  flowsExpired: 30,
  /** of these, closed to make room for others */
  flowsEvicted: 31,
  /** datagrams that the kernel has answered or dropped */
  kernelRequests: 42,
  /** payload bytes of those */
  kernelRequestBytes: 43,
  /** of the replies, those that the kernel has sent */
  kernelReplies: 44,
  /** payload bytes of those */
  kernelReplyBytes: 45,
  /** datagrams that the kernel has left to the thread */
  kernelPassed: 46,
} as const;

// In the thread's own row.
export const threadCounterIndex = {
  /** wake-ups of JavaScript */
  wakeups: 0,
  /** times the thread waited for the kernel */
  waits: 1,
  /** addresses that lost their place in the peer table */
  peerEvictions: 2,
  /** times the thread waited for a fuller batch */
  moderations: 3,
  /** times the event loop received by itself */
  loopRounds: 4,
} as const;

// In the row of a tunnel.
export const tunnelCounterIndex = {
  /** frames of the device that left, of each that went to several remotes one */
  framesSent: 0,
  /** their bytes, without the tunnel's own headers */
  bytesSent: 1,
  /** frames of remotes that the device took */
  framesReceived: 2,
  /** their bytes */
  bytesReceived: 3,
  /** reads that brought a frame, or many of one connection joined */
  deviceReads: 4,
  /** writes that the device took, of one frame or many joined */
  deviceWrites: 5,
  /** frames that went to all remotes */
  framesFlooded: 6,
  /** datagrams from addresses that are no remote's */
  unknownRemoteDrops: 7,
  /** datagrams that are cut, or say what they are not */
  malformedDrops: 8,
  /** datagrams of another VXLAN network */
  otherVniDrops: 9,
  /** frames of remotes that are longer than the device's MTU allows */
  tooLongDrops: 10,
  /** frames from addresses that are a group's, or elsewhere */
  refusedSourceDrops: 11,
  /** frames to whom nobody knows, without flooding */
  unknownDestinationDrops: 12,
  /** frames of remotes that the device did not take */
  deviceDrops: 13,
  /** frames of the device that could not be divided */
  unsendableDrops: 14,
  /** datagrams that the kernel had no memory for */
  sendDrops: 15,
  /** frames from addresses for which the table had no room */
  addressesNotLearned: 16,
  /** times that an address was heard of from another remote than before */
  addressesMoved: 17,
  /** times that the device's MTU followed that of the path */
  mtuChanges: 18,
  /** times that the device was gone */
  deviceLosses: 19,
} as const;

// In the same row.
export const tunnelGaugeIndex = {
  /** Ethernet addresses that are known */
  knownAddresses: 20,
  /** bytes; 0 while the device is not there */
  mtu: 21,
} as const;
