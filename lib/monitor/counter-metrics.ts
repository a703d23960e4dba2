// What each counter is called in Prometheus. A counter without a line here does not compile.
import type { AnsweringCounterName, CounterName, ThreadCounterName, TunnelCounterName } from '../thread/counters.js';

export interface CounterMetric {
  name: string;
  /** For /metrics; counters that share a metric share its first one's. */
  help: string;
  labels?: Record<string, string>;
  /** For the page, where it is not the same. */
  text?: string;
}

const metric = (name: string, help: string): CounterMetric => ({ name: `ksocket_${name}_total`, help });
/** Datagrams that are lost are one metric, by reason. */
const dropped = (reason: string, text: string): CounterMetric => ({
  ...metric('dropped_datagrams', 'Datagrams lost, by reason.'),
  labels: { reason },
  text,
});

export const counterMetrics: Record<CounterName, CounterMetric> = {
  rxDatagrams: metric('received_datagrams', 'Datagrams received.'),
  rxBytes: metric('received_bytes', 'Payload bytes received.'),
  rxCalls: metric('receive_calls', 'Receive system calls.'),
  rxBatches: metric('receive_batches', 'Receive system calls that returned something.'),
  rxGroBatches: metric('gro_batches', 'Super-datagrams that the kernel had joined (GRO).'),
  rxGroSegments: metric('gro_datagrams', 'Datagrams that came in super-datagrams.'),
  rxTruncated: metric('truncated_datagrams', 'Datagrams cut to the receive limit.'),
  rxErrors: metric('receive_errors', 'Receive system calls that failed.'),
  rxSendTimes: metric('send_times', 'Times received of when datagrams were sent.'),
  rxMissedTxTimes: metric('missed_tx_times', 'Datagrams not sent, as their departure time had passed.'),
  rxDescriptorsTruncated: metric(
    'truncated_descriptors',
    'Datagrams of which not all descriptors could be taken, as the process has no room for them.',
  ),
  rxPeerErrors: metric('peer_errors', 'ICMP errors received about datagrams sent.'),
  rxKernelDrops: dropped('receive_buffer_full', 'Lost in the kernel: receive buffer full.'),
  rxRingDrops: dropped('ring_full', 'Answered, but not delivered to JavaScript: ring full.'),
  rxQueueDrops: dropped('iterator_behind', 'Lost because an async iterator fell behind.'),
  rxCloseDrops: dropped('closed', 'Not handed out yet when the socket closed.'),
  rxBlocked: dropped('blocked', 'From an address of receiveBlockList.'),
  rxPauses: metric('receive_pauses', 'Times that receiving stopped because the ring was full.'),
  txDatagrams: metric('sent_datagrams', 'Datagrams the kernel took.'),
  txBytes: metric('sent_bytes', 'Payload bytes the kernel took.'),
  txCalls: metric('send_calls', 'Send system calls.'),
  txGsoBatches: metric('gso_batches', 'Super-datagrams sent (GSO).'),
  txGsoSegments: metric('gso_datagrams', 'Datagrams that left in super-datagrams.'),
  txGsoFallbacks: metric('gso_fallbacks', 'Super-datagrams refused and sent one by one.'),
  txErrors: metric('send_errors', 'Datagrams the kernel refused.'),
  txDeferred: metric('deferred_datagrams', 'Datagrams that waited for the socket to be writable.'),
  txTimed: metric('timed_datagrams', 'Datagrams the kernel took that ask for the time they are sent at.'),
  txDropped: dropped('send_buffer_full', 'Not sent: send buffer full.'),
};

export const answeringCounterMetrics: Record<AnsweringCounterName, CounterMetric> = {
  denied: dropped('denied', 'Not served: the lists refuse the source.'),
  limited: dropped('source_rate', 'Not served: over the rate of its source.'),
  limitedTotal: dropped('total_rate', "Not served: over the server's rate."),
  loopSources: metric('unanswered_sources', 'Answers not sent: they would come back, or get nowhere.'),
  loopRepeats: metric('unanswered_repeats', 'Answers not sent: to a peer that only answers answers.'),
  ruleDrops: dropped('rule', 'Dropped by a rule, or by the default.'),
  replies: metric('replies', 'Replies made by rules and handlers.'),
  refusedReplies: metric('refused_replies', 'Replies not sent: longer than their requests.'),
  forwarded: metric('forwarded_datagrams', 'Datagrams sent on to a back end.'),
  returned: metric('returned_datagrams', 'Answers of back ends.'),
  forwardDrops: dropped('no_flow', 'Not forwarded: no place for a flow.'),
  flowsOpened: metric('flows_opened', 'Clients that got a socket to a back end.'),
  flowsExpired: metric('flows_expired', 'Flows closed because they were idle.'),
  flowsEvicted: metric('flows_evicted', 'Flows closed to make room for others.'),
  kernelRequests: metric('kernel_requests', 'Datagrams answered or dropped in the kernel.'),
  kernelRequestBytes: metric('kernel_request_bytes', 'Payload bytes of datagrams answered or dropped in the kernel.'),
  kernelReplies: metric('kernel_replies', 'Of the replies, those sent by the kernel.'),
  kernelReplyBytes: metric('kernel_reply_bytes', 'Payload bytes of replies sent by the kernel.'),
  kernelPassed: metric('kernel_passed_datagrams', 'Datagrams that the kernel has left to the thread.'),
};

export const threadCounterMetrics: Record<ThreadCounterName, CounterMetric> = {
  wakeups: metric('thread_wakeups', 'Wake-ups of JavaScript by the I/O thread.'),
  waits: metric('thread_waits', 'Times the I/O thread waited for the kernel.'),
  peerEvictions: metric('peer_evictions', 'Addresses that lost their place in the peer table.'),
  moderations: metric('thread_moderations', 'Times the I/O thread waited for a fuller batch.'),
  loopRounds: metric('event_loop_receives', 'Times the event loop received by itself.'),
};

const droppedFrames = (reason: string, text: string): CounterMetric => ({
  ...metric('tunnel_dropped_frames', 'Frames of a tunnel that were dropped, by reason.'),
  labels: { reason },
  text,
});

export const tunnelCounterMetrics: Record<TunnelCounterName, CounterMetric> = {
  framesSent: metric('tunnel_sent_frames', 'Frames of the device that left.'),
  bytesSent: metric('tunnel_sent_bytes', 'Their bytes, without the tunnel’s headers.'),
  framesReceived: metric('tunnel_received_frames', 'Frames of remotes that the device took.'),
  bytesReceived: metric('tunnel_received_bytes', 'Their bytes, without the tunnel’s headers.'),
  deviceReads: metric('tunnel_device_reads', 'Reads of the device, of one frame or many of a connection.'),
  deviceWrites: metric('tunnel_device_writes', 'Writes that the device took, of one frame or many joined.'),
  framesFlooded: metric('tunnel_flooded_frames', 'Frames that went to all remotes.'),
  unknownRemoteDrops: droppedFrames('unknown_remote', 'From an address that is no remote’s.'),
  malformedDrops: droppedFrames('malformed', 'Cut, or no frame of this encapsulation.'),
  otherVniDrops: droppedFrames('other_vni', 'Of another VXLAN network.'),
  tooLongDrops: droppedFrames('too_long', 'From a remote, longer than the device’s MTU.'),
  refusedSourceDrops: droppedFrames('refused_source', 'From a group’s Ethernet address, or another remote’s.'),
  unknownDestinationDrops: droppedFrames('unknown_destination', 'To an address that nobody knows, without flooding.'),
  deviceDrops: droppedFrames('device', 'From a remote; the device did not take it.'),
  unsendableDrops: droppedFrames('unsendable', 'Of the device, and could not be divided.'),
  sendDrops: droppedFrames('no_memory', 'The kernel had no memory to send it.'),
  addressesNotLearned: metric('tunnel_addresses_not_learned', 'Frames from addresses that the table had no room for.'),
  addressesMoved: metric('tunnel_addresses_moved', 'Times an address was heard of from another remote than before.'),
  mtuChanges: metric('tunnel_mtu_changes', 'Times that the device’s MTU followed the path’s.'),
  deviceLosses: metric('tunnel_device_losses', 'Times that the device was gone.'),
};
