using System.Buffers.Binary;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Nephos.Hypervisor.Network.Namespaces;

/// <summary>Sockets that see and send whole Ethernet frames of one device, in the namespace of the calling thread.</summary>
internal static unsafe class PacketSocket
{
    private const int LevelSocket = 1;
    private const int AttachFilter = 26;
    private const int LevelPacket = 263;
    private const int IgnoreOutgoing = 23;
    private const ushort EveryProtocol = 3;

    /// <summary>UDP to port 67 that is no later fragment, up to 2048 bytes: the kernel drops the rest before it costs us anything.</summary>
    private static readonly FilterStep[] DhcpFilter =
    [
        new(0x28, 0, 0, 12),
        new(0x15, 0, 8, 0x0800),
        new(0x30, 0, 0, 23),
        new(0x15, 0, 6, 17),
        new(0x28, 0, 0, 20),
        new(0x45, 4, 0, 0x1FFF),
        new(0xB1, 0, 0, 14),
        new(0x48, 0, 0, 16),
        new(0x15, 0, 1, 67),
        new(0x06, 0, 0, 2048),
        new(0x06, 0, 0, 0),
    ];

    /// <summary>Solicitations of routers, and UDP to port 547, without extension headers.</summary>
    private static readonly FilterStep[] Ipv6Filter =
    [
        new(0x28, 0, 0, 12),
        new(0x15, 0, 8, 0x86DD),
        new(0x30, 0, 0, 20),
        new(0x15, 0, 2, 58),
        new(0x30, 0, 0, 54),
        new(0x15, 3, 4, 133),
        new(0x15, 0, 3, 17),
        new(0x28, 0, 0, 56),
        new(0x15, 0, 1, 547),
        new(0x06, 0, 0, 2048),
        new(0x06, 0, 0, 0),
    ];

    public static Socket OpenForDhcp(int deviceIndex) => Open(deviceIndex, DhcpFilter);

    /// <summary>Sees what guests ask of routers and of DHCPv6 servers.</summary>
    public static Socket OpenForIpv6Requests(int deviceIndex) => Open(deviceIndex, Ipv6Filter);

    /// <summary>Sees every frame that comes in on the device.</summary>
    public static Socket OpenForAll(int deviceIndex) => Open(deviceIndex, []);

    private static Socket Open(int deviceIndex, FilterStep[] filter)
    {
        // Protocol 0 receives nothing: frames begin to come with bind, after the filter is in place.
        using var handle = LibC.OpenSocket(LibC.FamilyPacket, LibC.SocketRaw, 0);
        fixed (FilterStep* steps = filter)
        {
            var program = new FilterProgram { Count = (ushort)filter.Length, Steps = steps };
            var on = 1;
            // SAFETY: the kernel copies the program and the address before the calls return; sizes are those of the structures.
            if (filter.Length > 0 && LibC.SetSocketOption(handle, LevelSocket, AttachFilter, &program, (uint)sizeof(FilterProgram)) != 0)
            {
                throw LibC.Error("attach packet filter");
            }

            if (LibC.SetSocketOption(handle, LevelPacket, IgnoreOutgoing, &on, sizeof(int)) != 0)
            {
                throw LibC.Error("ignore outgoing frames");
            }

            var address = new LinkAddress
            {
                Family = LibC.FamilyPacket,
                Protocol = BinaryPrimitives.ReverseEndianness(EveryProtocol),
                Index = deviceIndex,
            };
            if (LibC.Bind(handle, &address, (uint)sizeof(LinkAddress)) != 0)
            {
                throw LibC.Error("bind packet socket");
            }
        }

        var descriptor = handle.DangerousGetHandle();
        handle.SetHandleAsInvalid();
        return new Socket(new SafeSocketHandle(descriptor, ownsHandle: true));
    }

    [StructLayout(LayoutKind.Sequential)]
    private readonly record struct FilterStep(ushort Code, byte JumpTrue, byte JumpFalse, uint Value);

    [StructLayout(LayoutKind.Sequential)]
    private struct FilterProgram
    {
        public ushort Count;
        public FilterStep* Steps;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct LinkAddress
    {
        public ushort Family;
        public ushort Protocol;
        public int Index;
        public ushort DeviceType;
        public byte PacketType;
        public byte AddressLength;
        public ulong Address;
    }
}
