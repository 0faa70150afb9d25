using System.Diagnostics;
using Grpc.Core;
using Grpc.Net.Client;
using Nephos.LoadTests.Scenarios;
using Block = Nephos.Protos.BlockStorage.V1;
using Compute = Nephos.Protos.Compute.V1;

namespace Nephos.LoadTests;

/// <summary>How long one server takes from the request until its processor runs, and what of that goes where. Servers are made one after the
/// other, each is deleted before the next, so that none pays for the guest of another.</summary>
internal sealed class BootLatency(Target target) : IDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(5);

    private readonly GrpcChannel _channel = GrpcChannel.ForAddress(target.GrpcUrl);
    private readonly Metadata _headers = new() { { "authorization", $"Bearer {target.Token}" } };
    private readonly SortedDictionary<int, (string Name, List<double> Times)> _phases = [];

    public async Task RunAsync(int count, CancellationToken cancellationToken)
    {
        var (image, network) = await ServerSetup.PrepareAsync(target, cancellationToken);
        // The first ones pay for what a process does once: the image's layer, compiled code, connections.
        for (var index = -2; index < count; index++)
        {
            await DiskAsync(image, measured: index >= 0, cancellationToken);
            await ServerAsync(image, network, index, cancellationToken);
        }
        Console.WriteLine($"{count} servers, one after the other; milliseconds      p50      p99      max");
        foreach (var (name, times) in _phases.Values)
        {
            times.Sort();
            Console.WriteLine($"{name,-46}{At(times, 0.5),9:0.0}{At(times, 0.99),9:0.0}{times[^1],9:0.0}");
        }
    }

    public void Dispose() => _channel.Dispose();

    private async Task ServerAsync(string image, string network, int index, CancellationToken cancellationToken)
    {
        var instances = new Compute.Instances.InstancesClient(_channel);
        var cpu = target.Process.CpuTime();
        var clock = Stopwatch.StartNew();
        var id = await ServerSetup.CreateAsync(target, image, network, $"latency-{index}", cancellationToken);
        var answered = clock.Elapsed;
        Compute.Instance instance;
        do
        {
            instance = await instances.GetInstanceAsync(new Compute.GetInstanceRequest { Id = id }, _headers, cancellationToken: cancellationToken);
            if (instance.Fault is { } fault || clock.Elapsed > Limit)
            {
                throw new InvalidOperationException($"Server {id} is {instance.Status} after {clock.Elapsed.TotalSeconds:0} s. {instance.Fault?.Message}");
            }
            await Task.Delay(Poll, cancellationToken);
        }
        while (instance.Status != Compute.InstanceStatus.Active);
        if (index >= 0)
        {
            Record(0, "create answered", answered);
            Record(2, "root disk made, attached and its head open", Since(instance, "VolumesReady"));
            Record(3, "QEMU seen", Since(instance, "QemuUp"));
            Record(4, "network card in", Since(instance, "PortsWired"));
            Record(5, "processor runs", Since(instance, "PowerStateReached"));
            Record(6, "client sees ACTIVE", clock.Elapsed);
            Record(7, "processor time of the server", target.Process.CpuTime() - cpu);
        }
        await ServerSetup.DeleteAsync(target, [id], cancellationToken);
        while (await IsThereAsync(instances, id, cancellationToken))
        {
            await Task.Delay(Poll, cancellationToken);
        }
    }

    /// <summary>What a server's root disk costs alone: a volume of the same image.</summary>
    private async Task DiskAsync(string image, bool measured, CancellationToken cancellationToken)
    {
        var volumes = new Block.Volumes.VolumesClient(_channel);
        var clock = Stopwatch.StartNew();
        var volume = await volumes.CreateVolumeAsync(new Block.CreateVolumeRequest { ImageId = image, Name = "latency" }, _headers, cancellationToken: cancellationToken);
        while (volume.Status != Block.VolumeStatus.Available)
        {
            if (clock.Elapsed > Limit)
            {
                throw new InvalidOperationException($"Volume {volume.Id} is {volume.Status} after {clock.Elapsed.TotalSeconds:0} s.");
            }
            volume = await volumes.GetVolumeAsync(new Block.GetVolumeRequest { VolumeId = volume.Id }, _headers, cancellationToken: cancellationToken);
        }
        if (measured)
        {
            Record(1, "(alone: a disk of the image is available)", clock.Elapsed);
        }
        await volumes.DeleteVolumeAsync(new Block.DeleteVolumeRequest { VolumeId = volume.Id }, _headers, cancellationToken: cancellationToken);
    }

    private async Task<bool> IsThereAsync(Compute.Instances.InstancesClient instances, string id, CancellationToken cancellationToken)
    {
        try
        {
            await instances.GetInstanceAsync(new Compute.GetInstanceRequest { Id = id }, _headers, cancellationToken: cancellationToken);
            return true;
        }
        catch (RpcException exception) when (exception.StatusCode == StatusCode.NotFound)
        {
            return false;
        }
    }

    /// <summary>When a condition came true, from the moment the server was written down.</summary>
    private static TimeSpan? Since(Compute.Instance instance, string condition) =>
        instance.Conditions.LastOrDefault(item => item.Name == condition && item.Met)?.Since is { } since ? (since - instance.CreatedAt).ToTimeSpan() : null;

    private void Record(int order, string name, TimeSpan? time)
    {
        if (time is { } value)
        {
            if (!_phases.TryGetValue(order, out var phase))
            {
                _phases[order] = phase = (name, []);
            }
            phase.Times.Add(value.TotalMilliseconds);
        }
    }

    private static double At(List<double> sorted, double quantile) => sorted[(int)Math.Ceiling(quantile * sorted.Count) - 1];
}
