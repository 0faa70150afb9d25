using System.ComponentModel;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace Nephos.Hypervisor.Network.Namespaces;

/// <summary>Taps: Ethernet devices whose other end is a file. Made in the namespace of the calling thread.</summary>
internal static class Tap
{
    private const nuint SetInterface = 0x4004_54CA;
    private const nuint SetPersistent = 0x4004_54CB;
    private const short TapMode = 0x0002;
    private const short NoPacketInfo = 0x1000;
    private const short VnetHeader = 0x4000;

    /// <summary>Makes a tap that stays when the file is closed; harmless when it is there.</summary>
    public static void CreatePersistent(string name)
    {
        using var handle = Attach(name, VnetHeader);
        unsafe
        {
            if (LibC.IoControl(handle, SetPersistent, (void*)1) != 0)
            {
                throw LibC.Error($"keep tap {name}");
            }
        }
    }

    /// <summary>Opens the guest's end.</summary>
    /// <param name="vnetHeader">True: frames carry the header of virtio-net, as QEMU wants it. False: bare frames.</param>
    /// <exception cref="Win32Exception">Another process holds it (EBUSY), or the rights are missing.</exception>
    public static SafeFileHandle Open(string name, bool vnetHeader) => Attach(name, vnetHeader ? VnetHeader : (short)0);

    private static SafeFileHandle Attach(string name, short flags)
    {
        var handle = LibC.Open("/dev/net/tun", LibC.OpenReadWrite);
        Span<byte> request = stackalloc byte[40];
        request.Clear();
        Encoding.ASCII.GetBytes(name, request[..15]);
        MemoryMarshal.Write(request[16..], (short)(TapMode | NoPacketInfo | flags));
        unsafe
        {
            // SAFETY: TUNSETIFF reads and writes one ifreq, 40 bytes, which is the size of the buffer.
            fixed (byte* argument = request)
            {
                if (LibC.IoControl(handle, SetInterface, argument) != 0)
                {
                    var error = LibC.Error($"attach to tap {name}");
                    handle.Dispose();
                    throw error;
                }
            }
        }

        return handle;
    }
}
