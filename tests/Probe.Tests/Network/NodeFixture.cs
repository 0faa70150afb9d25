using System.Net;
using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Nephos.Hypervisor.Metadata;
using Nephos.Hypervisor.Network.Linux;
using Nephos.Hypervisor.Network.Namespaces;
using Nephos.Hypervisor.Network.Plans;
using Nephos.Hypervisor.Network;
using Xunit;
using Wire = Nephos.Protos.Network.V1;

namespace Nephos.Probe.Tests.Network;

/// <summary>A node with a real data plane, and a namespace in the place of its host, so that nothing outside of the test is touched.
/// Everything is gone after <see cref="DisposeAsync"/>.</summary>
internal sealed class NodeFixture : IAsyncDisposable
{
    private static int s_count;

    private readonly List<IDisposable> _owned = [];
    private readonly string _name = $"ntest-{Environment.ProcessId}-{Interlocked.Increment(ref s_count)}";

    public NodeFixture(IPAddress? vtep = null)
    {
        Vtep = vtep;
        Host = NetworkNamespace.OpenOrCreate(_name + "host", out _);
        Driver = NewDriver();
    }

    public IPAddress? Vtep { get; }

    public NodeStateBuilder State { get; } = new();

    public FakeTimeProvider Clock { get; } = new();

    public RecordingMetadata Metadata { get; } = new();

    public NetworkNamespace Host { get; }

    public LinuxNetworkDriver Driver { get; private set; }

    public DataPlaneNames Names => new(_name);

    public string NameOf(string what) => _name + what;

    public async Task<NetworkReport> ApplyAsync()
    {
        var report = await Driver.ApplyAsync(State.Build(), CancellationToken.None);
        var failures = report.All.Where(item => item.State == ItemState.Failed).Select(item => item.Error).ToList();
        Assert.True(failures.Count == 0, string.Join('\n', failures));
        return report;
    }

    /// <summary>What a killed agent leaves, met by a new one.</summary>
    public async Task RestartDriverAsync()
    {
        await Driver.DisposeAsync();
        Driver = NewDriver();
    }

    /// <summary>A guest on a wired port with its first address, as if DHCP had set it.</summary>
    public Guest Boot(Wire.NodePort port, string? gateway = null)
    {
        var guest = BootBare(port);
        guest.SetAddress(port.FixedIps[0].Address + "/24", gateway);
        return guest;
    }

    /// <summary>A guest on a wired port that has to find out its addresses itself.</summary>
    public Guest BootBare(Wire.NodePort port)
    {
        var wired = Driver.FindPort(Guid.Parse(port.Id)) ?? throw new InvalidOperationException($"port {port.Id} is not wired");
        return Own(new Guest($"{_name}g{port.MacAddress.Replace(":", "")[6..]}", wired));
    }

    public T Own<T>(T what)
        where T : IDisposable
    {
        _owned.Add(what);
        return what;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var owned in Enumerable.Reverse(_owned))
        {
            owned.Dispose();
        }

        await Driver.RemoveAllAsync(CancellationToken.None);
        await Driver.DisposeAsync();
        NetworkNamespace.Delete(_name + "host");
    }

    private LinuxNetworkDriver NewDriver() => new(
        new NodeNetworkSettings(Names, Vtep, new Dictionary<string, string> { ["public"] = "", ["provider"] = "" }),
        new NetworkCapabilities(CanWire: true, Tunnels: true, []), NetworkNamespace.Open(_name + "host"), Metadata, Clock, NullLoggerFactory.Instance);
}

/// <summary>Says which port asked for what.</summary>
internal sealed class RecordingMetadata : IInstanceMetadataSource
{
    public MetadataReply Get(Guid portId, string path) => path == "/missing"
        ? MetadataReply.NotFound
        : new MetadataReply(200, "text/plain", Encoding.ASCII.GetBytes($"{portId} {path}"));
}
