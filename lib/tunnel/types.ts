// What a tunnel tells.
import type { Stats } from '../thread/counters.js';

/** The events of a `Tunnel`, and what their listeners get. */
export interface TunnelEvents {
  /** The device is up and its frames are moved. */
  listening: [];
  /** A receive call failed: `code`, `errno` and `syscall` are those of recvmsg(2). The tunnel goes on. */
  error: [error: Error];
  /** stop() has closed socket and device. */
  close: [];
}

/** What a tunnel has moved and dropped since its start. */
export interface TunnelStats {
  /** The device's name; empty while it is not there. */
  device: string;
  /** The device's MTU in bytes, within a second of when somebody changed it; 0 while it is not there. */
  mtu: number;
  /** Frames of the device that left; of one that went to several remotes, one. Those that the kernel refused to send are in
   * `sendDrops` or `socket.txErrors`. */
  framesSent: number;
  /** Their bytes, without the tunnel's headers. */
  bytesSent: number;
  /** Frames of remotes that the device took. */
  framesReceived: number;
  /** Their bytes. */
  bytesReceived: number;
  /** Reads that brought a frame, or up to 64 KiB of a connection that become many. */
  deviceReads: number;
  /** Writes that the device took, of one frame or many that were joined. */
  deviceWrites: number;
  /** Frames that went to all remotes. */
  framesFlooded: number;
  /** Datagrams from addresses that are no remote's. */
  unknownRemoteDrops: number;
  /** Datagrams that are cut, or no frames of this encapsulation. */
  malformedDrops: number;
  /** Datagrams of another VXLAN network. */
  otherVniDrops: number;
  /** Frames of remotes that are longer than the device's MTU allows. */
  tooLongDrops: number;
  /** Frames from Ethernet addresses that are a group's, or that belong to another remote (`macs`). */
  refusedSourceDrops: number;
  /** Frames to Ethernet addresses that nobody knows, with `flood: false`. */
  unknownDestinationDrops: number;
  /** Frames of remotes that the device did not take: it is down, or gone. */
  deviceDrops: number;
  /** Frames of the device that could not be divided. */
  unsendableDrops: number;
  /** Datagrams that the kernel had no memory for; what it refused for another reason is in `socket.txErrors`. */
  sendDrops: number;
  /** Frames from Ethernet addresses that were not learned, as there was no room. */
  addressesNotLearned: number;
  /** Times that an Ethernet address was heard of from another remote than before. */
  addressesMoved: number;
  /** Ethernet addresses that are known now. */
  knownAddresses: number;
  /** Times that the device's MTU followed the path's. */
  mtuChanges: number;
  /** Times that the device was gone. It is made again within a second or so. */
  deviceLosses: number;
  /** The counters of its socket; undefined before the first start. */
  socket: Stats | undefined;
}
