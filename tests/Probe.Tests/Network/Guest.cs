using System.Net.Sockets;
using System.Net;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Nephos.Hypervisor.Network.Namespaces;
using Nephos.Hypervisor.Network.Netlink;
using Nephos.Hypervisor.Network;

namespace Nephos.Probe.Tests.Network;

/// <summary>A guest without a machine: a namespace whose eth0 is a tap, and a thread that carries frames between it and the port's tap, as a
/// virtual network card does.</summary>
internal sealed class Guest : IDisposable
{
    private const int FrameBytesMax = 65536;
    private static readonly TimeSpan PingTimeout = TimeSpan.FromSeconds(3);

    private readonly NetworkNamespace _namespace;
    private readonly SafeFileHandle _inside;
    private readonly SafeFileHandle _outside;
    private readonly Thread _pump;
    private readonly List<Socket> _listeners = [];
    private volatile bool _stopped;

    public Guest(string name, WiredPort port)
    {
        _namespace = NetworkNamespace.OpenOrCreate(name, out _);
        using (var dataPlane = NetworkNamespace.Open(port.NamespaceName))
        {
            _outside = dataPlane.Run(() => Tap.Open(port.TapName, vnetHeader: false));
        }

        // An IPv6 address counts at once, without a second of asking whether somebody has it.
        _namespace.SetParameters(("net/ipv6/conf/default/accept_dad", "0"), ("net/ipv6/conf/all/accept_dad", "0"));
        _inside = _namespace.Run(() => Tap.Open("eth0", vnetHeader: false));
        Mac = port.Mac;
        Configure(links =>
        {
            var device = links.FindLink("eth0")!;
            links.SetMac(device.Index, port.Mac);
            links.SetMtu(device.Index, port.Mtu);
            links.SetUp(device.Index, up: true);
            links.SetUp(links.FindLink("lo")!.Index, up: true);
        });
        _pump = new Thread(Pump) { IsBackground = true, Name = name };
        _pump.Start();
    }

    public Mac Mac { get; }

    public NetworkNamespace Namespace => _namespace;

    public void SetAddress(string cidr, string? gateway = null) => Configure(links =>
    {
        var index = links.FindLink("eth0")!.Index;
        var network = cidr.Split('/');
        links.AddAddress(new InterfaceAddress(index, IPAddress.Parse(network[0]), int.Parse(network[1])));
        if (gateway is not null)
        {
            links.ReplaceRoute(new Route(IPNetwork.Parse("0.0.0.0/0"), IPAddress.Parse(gateway), index, 0));
        }
    });

    public void RemoveAddress(string cidr) => Configure(links =>
    {
        var network = cidr.Split('/');
        links.DeleteAddress(new InterfaceAddress(links.FindLink("eth0")!.Index, IPAddress.Parse(network[0]), int.Parse(network[1])));
    });

    /// <summary>A route for the link-local addresses, as a lease gives it.</summary>
    public void SetMetadataRoute() => Configure(links =>
        links.ReplaceRoute(new Route(IPNetwork.Parse("169.254.169.254/32"), null, links.FindLink("eth0")!.Index, 0)));

    public T Run<T>(Func<T> work) => _namespace.Run(work);

    public bool Ping(string address, TimeSpan? timeout = null) => Ping(_namespace, address, timeout);

    /// <summary>Sends echo requests until one is answered.</summary>
    public static bool Ping(NetworkNamespace from, string address, TimeSpan? timeout = null) => from.Run(() =>
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Raw, ProtocolType.Icmp);
        var until = TimeProvider.System.GetTimestamp() + (long)((timeout ?? PingTimeout).TotalSeconds * TimeProvider.System.TimestampFrequency);
        // Type 8, code 0, checksum, an identifier of this socket, sequence 0.
        var identifier = (ushort)(socket.Handle.ToInt64() ^ Environment.CurrentManagedThreadId);
        byte[] request = [8, 0, 0, 0, (byte)(identifier >> 8), (byte)identifier, 0, 0];
        var sum = (uint)(0x0800 + identifier);
        sum = (sum & 0xFFFF) + (sum >> 16);
        (request[2], request[3]) = ((byte)(~sum >> 8), (byte)~sum);
        var answer = new byte[1500];
        socket.ReceiveTimeout = 200;
        while (TimeProvider.System.GetTimestamp() < until)
        {
            try
            {
                socket.SendTo(request, new IPEndPoint(IPAddress.Parse(address), 0));
                while (true)
                {
                    var length = socket.Receive(answer);
                    var header = (answer[0] & 0xF) * 4;
                    if (length >= header + 8 && answer[header] == 0 && answer[header + 4] == request[4] && answer[header + 5] == request[5])
                    {
                        return true;
                    }
                }
            }
            catch (SocketException)
            {
                // Nothing within the receive timeout, or no route yet.
            }
        }

        return false;
    });

    /// <summary>Answers every connection to this port with the address it sees the caller have, and then echoes lines.</summary>
    public void Serve(int port) => _listeners.Add(Serve(_namespace, port));

    public static Socket Serve(NetworkNamespace where, int port)
    {
        var listener = where.Run(() =>
        {
            var socket = new Socket(AddressFamily.InterNetworkV6, SocketType.Stream, ProtocolType.Tcp) { DualMode = true };
            socket.Bind(new IPEndPoint(IPAddress.IPv6Any, port));
            socket.Listen(16);
            return socket;
        });
        _ = AcceptAsync(listener);
        return listener;
    }

    public Conversation? Connect(string address, int port, TimeSpan? timeout = null) => Conversation.Open(_namespace, address, port, timeout);

    public void Dispose()
    {
        _stopped = true;
        _pump.Join();
        _listeners.ForEach(listener => listener.Dispose());
        _inside.Dispose();
        _outside.Dispose();
        _namespace.Dispose();
        NetworkNamespace.Delete(_namespace.Name);
    }

    private static async Task AcceptAsync(Socket listener)
    {
        try
        {
            while (true)
            {
                _ = EchoAsync(await listener.AcceptAsync());
            }
        }
        catch (Exception error) when (error is SocketException or ObjectDisposedException)
        {
            // The test is over.
        }
    }

    private static async Task EchoAsync(Socket socket)
    {
        using var stream = new NetworkStream(socket, ownsSocket: true);
        using var reader = new StreamReader(stream);
        await using var writer = new StreamWriter(stream) { AutoFlush = true };
        try
        {
            var address = ((IPEndPoint)socket.RemoteEndPoint!).Address;
            await writer.WriteLineAsync((address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address).ToString());
            while (await reader.ReadLineAsync() is { } line)
            {
                await writer.WriteLineAsync(line);
            }
        }
        catch (IOException)
        {
            // The other side is gone.
        }
    }

    private void Configure(Action<RouteNetlink> work) => _namespace.Run(() =>
    {
        using var links = new RouteNetlink();
        work(links);
    });

    private void Pump()
    {
        var buffer = new byte[FrameBytesMax];
        var waiting = new PollEntry[] { new((int)_inside.DangerousGetHandle()), new((int)_outside.DangerousGetHandle()) };
        while (!_stopped)
        {
            if (Poll(waiting, 2, 50) <= 0)
            {
                continue;
            }

            for (var i = 0; i < 2; i++)
            {
                var (from, to) = i == 0 ? (_inside, _outside) : (_outside, _inside);
                if ((waiting[i].Returned & PollEntry.Readable) == 0)
                {
                    continue;
                }

                // A failure is a port that was taken away or a link that is down: the frame is lost, as on a wire.
                var length = Read(from, buffer, FrameBytesMax);
                if (length > 0)
                {
                    Write(to, buffer, (nuint)length);
                }
                else if (waiting[i].Returned != PollEntry.Readable)
                {
                    return;
                }
            }
        }
    }

    [DllImport("libc", EntryPoint = "read")]
    private static extern nint Read(SafeFileHandle from, byte[] buffer, nuint length);

    [DllImport("libc", EntryPoint = "write")]
    private static extern nint Write(SafeFileHandle to, byte[] buffer, nuint length);

    [DllImport("libc", EntryPoint = "poll")]
    private static extern int Poll([In, Out] PollEntry[] entries, ulong count, int milliseconds);

    [StructLayout(LayoutKind.Sequential)]
    private struct PollEntry(int descriptor)
    {
        public const short Readable = 1;
        public int Descriptor = descriptor;
        public short Wanted = Readable;
        public short Returned;
    }
}

/// <summary>A TCP connection to a guest's echo server.</summary>
internal sealed class Conversation : IDisposable
{
    private readonly NetworkStream _stream;
    private readonly StreamReader _reader;

    private Conversation(Socket socket)
    {
        _stream = new NetworkStream(socket, ownsSocket: true) { ReadTimeout = 2000 };
        _reader = new StreamReader(_stream);
        SeenAs = _reader.ReadLine() ?? "";
    }

    /// <summary>The address that the server saw.</summary>
    public string SeenAs { get; }

    /// <summary>Null when nothing answers within the timeout.</summary>
    public static Conversation? Open(NetworkNamespace from, string address, int port, TimeSpan? timeout = null)
    {
        var socket = from.Run(() => new Socket(IPAddress.Parse(address).AddressFamily, SocketType.Stream, ProtocolType.Tcp));
        using var limit = new CancellationTokenSource(timeout ?? TimeSpan.FromSeconds(3));
        try
        {
            socket.ConnectAsync(IPAddress.Parse(address), port, limit.Token).AsTask().GetAwaiter().GetResult();
            return new Conversation(socket);
        }
        catch (Exception error) when (error is OperationCanceledException or SocketException or IOException)
        {
            socket.Dispose();
            return null;
        }
    }

    public bool Echoes(string line)
    {
        try
        {
            _stream.Write(System.Text.Encoding.ASCII.GetBytes(line + "\n"));
            return _reader.ReadLine() == line;
        }
        catch (IOException)
        {
            return false;
        }
    }

    public void Dispose()
    {
        _reader.Dispose();
        _stream.Dispose();
    }
}
