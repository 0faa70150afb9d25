using System.ComponentModel;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Nephos.Hypervisor.Qemu;

/// <summary>Sends an open file beside bytes over a unix socket (SCM_RIGHTS, unix(7)); the base library has no call for it.</summary>
internal static unsafe partial class DescriptorPassing
{
    private const int SolSocket = 1;
    private const int ScmRights = 1;
    private const int MsgNoSignal = 0x4000;
    private const int Eagain = 11;
    private const int PollOut = 4;
    private const int PollMilliseconds = 1000;

    /// <summary>Sends all of <paramref name="bytes"/> in one message together with the file. The handle stays the caller's.</summary>
    /// <exception cref="IOException">The peer is gone or does not read.</exception>
    public static void Send(Socket socket, ReadOnlySpan<byte> bytes, SafeFileHandle file)
    {
        var taken = false;
        try
        {
            file.DangerousAddRef(ref taken);
            // SAFETY: the structures are those of the 64-bit Linux ABI; every pointer is to the stack or to the pinned span and is used
            // only during the call. The control buffer holds one header of 16 bytes and one int, padded to 24.
            fixed (byte* data = bytes)
            {
                var control = stackalloc long[3];
                control[0] = 16 + sizeof(int);
                ((int*)control)[2] = SolSocket;
                ((int*)control)[3] = ScmRights;
                ((int*)control)[4] = (int)file.DangerousGetHandle();
                ((int*)control)[5] = 0;
                var vector = new IoVector { Base = data, Length = (nuint)bytes.Length };
                var message = new Message { Vectors = &vector, VectorCount = 1, Control = control, ControlBytes = 24 };
                var descriptor = (int)socket.SafeHandle.DangerousGetHandle();
                var sent = SendMessage(descriptor, &message, MsgNoSignal);
                if (sent < 0 && Marshal.GetLastPInvokeError() == Eagain)
                {
                    var poll = new PollEntry { Descriptor = descriptor, Events = PollOut };
                    Poll(&poll, 1, PollMilliseconds);
                    sent = SendMessage(descriptor, &message, MsgNoSignal);
                }
                if (sent != bytes.Length)
                {
                    throw new IOException(sent < 0
                        ? $"could not pass a file: {new Win32Exception(Marshal.GetLastPInvokeError()).Message}"
                        : $"only {sent} of {bytes.Length} bytes were sent with a file");
                }
            }
        }
        finally
        {
            if (taken)
            {
                file.DangerousRelease();
            }
        }
    }

    [LibraryImport("libc", EntryPoint = "sendmsg", SetLastError = true)]
    private static partial nint SendMessage(int descriptor, Message* message, int flags);

    [LibraryImport("libc", EntryPoint = "poll", SetLastError = true)]
    private static partial int Poll(PollEntry* entries, nuint count, int milliseconds);

    [StructLayout(LayoutKind.Sequential)]
    private struct IoVector
    {
        public void* Base;
        public nuint Length;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct Message
    {
        public void* Name;
        public uint NameBytes;
        public IoVector* Vectors;
        public nuint VectorCount;
        public void* Control;
        public nuint ControlBytes;
        public int Flags;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct PollEntry
    {
        public int Descriptor;
        public short Events;
        public short Returned;
    }
}
