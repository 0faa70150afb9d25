using System.Diagnostics;
using System.Globalization;
using Grpc.Core;
using Grpc.Net.Client;
using Nephos.Probe.Tests.Roles;
using Nephos.StorageEngine.Tests.Block;
using Xunit;
using Xunit.Abstractions;
using StorageWire = Nephos.Protos.Storage.V1;
using Wire = Nephos.Protos.BlockStorage.V1;

namespace Nephos.Probe.Tests.Block;

/// <summary>A cloud whose volumes have their replicas in three storage processes. NEPHOS_VOLUME_KILLS says how often one is killed (3).</summary>
public sealed class VolumeProcessesTests(ITestOutputHelper output)
{
    private const int Stores = 3;
    private static readonly int Kills = int.Parse(Environment.GetEnvironmentVariable("NEPHOS_VOLUME_KILLS") ?? "3", CultureInfo.InvariantCulture);

    /// <summary>Much more than is needed, for machines that do other things as well.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    [EtcdFact]
    public async Task B32_Storage_processes_are_killed_and_an_agent_frozen_under_an_attached_volume()
    {
        await using var cloud = RoleProcesses.Create("identity", "volume");
        var identity = cloud.Start("identity");
        await cloud.WaitUntilReadyAsync("identity", identity);
        var stores = Enumerable.Range(0, Stores).Select(cloud.StartBlockStore).ToList();
        await cloud.WaitUntilReadyAsync("volume", cloud.Start("volume"));
        using var identityChannel = GrpcChannel.ForAddress($"http://127.0.0.1:{cloud.GrpcPortOf("identity")}");
        var token = (await RoleProcessesTests.IssueAsync(identityChannel, cloud.Password("admin"))).Token;
        var headers = new Metadata { { "authorization", $"Bearer {token}" } };
        using var channel = GrpcChannel.ForAddress($"http://127.0.0.1:{cloud.GrpcPortOf("volume")}");
        var attachments = new Wire.Attachments.AttachmentsClient(channel);

        var devices = new StorageWire.BlockDevices.BlockDevicesClient(channel);
        await UntilAsync(async () =>
            (await devices.ListBlockDevicesAsync(new StorageWire.ListBlockDevicesRequest(), headers)).Devices is [{ Failed: false } set]
            && set.Members.Select(member => member.Node).Distinct().Count() == Stores);
        var volumeId = await CreateVolumeAsync(new Wire.Volumes.VolumesClient(channel), headers);

        using var agent = await AttachAsync("first");
        var load = new BlockLoad(agent.SocketPath, agent.ExportName);
        for (var kill = 0; kill < Kills; kill++)
        {
            await load.GoesOnAsync(100, Patience);
            stores[kill % Stores].Kill();
            await stores[kill % Stores].WaitForExitAsync();
            await load.GoesOnAsync(100, Patience);
            stores[kill % Stores] = cloud.StartBlockStore(kill % Stores);
            // Until it is repaired the next one must not go.
            await agent.UntilCompleteAsync(Patience);
            output.WriteLine($"killed one of three: {load.Done} requests, the longest took {load.Longest.TotalMilliseconds:f0} ms");
        }
        await load.StopAsync();

        // Its node stops answering in the middle of writes; the volume is taken from it and attached elsewhere.
        using var client = NbdTestClient.Connect(agent.SocketPath, agent.ExportName);
        Assert.Equal(0u, client.DoWrite(0, BlockLoad.Content(1)));
        await ProcessSignals.FreezeAsync(agent.ProcessId);
        for (var i = 0; i < 8; i++) client.SendRequest(NbdTestClient.Write, 0, BlockLoad.BlockBytes, payload: BlockLoad.Content(100 + i));
        var watch = Stopwatch.StartNew();
        foreach (var old in (await attachments.ListAttachmentsAsync(new Wire.ListAttachmentsRequest { VolumeId = volumeId }, headers)).Attachments)
            await attachments.DeleteAttachmentAsync(new Wire.DeleteAttachmentRequest { AttachmentId = old.Id }, headers);
        output.WriteLine($"taken from its node in {watch.ElapsedMilliseconds} ms");
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(20), $"To take the volume from its node took {watch.Elapsed}.");
        using var next = await AttachAsync("second");
        output.WriteLine($"attached elsewhere after {watch.ElapsedMilliseconds} ms");
        using var other = NbdTestClient.Connect(next.SocketPath, next.ExportName);
        Assert.Equal(1, BitConverter.ToInt32(other.DoRead(0, BlockLoad.BlockBytes)));
        Assert.Equal(0u, other.DoWrite(0, BlockLoad.Content(2)));
        ProcessSignals.Thaw(agent.ProcessId);
        // Not one of the writes is answered; the connection is dropped.
        Assert.True(client.IsClosed());
        Assert.Equal(2, BitConverter.ToInt32(other.DoRead(0, BlockLoad.BlockBytes)));

        async Task<VolumeAgent> AttachAsync(string node)
        {
            var made = await attachments.CreateAttachmentAsync(new Wire.CreateAttachmentRequest { VolumeId = volumeId, Node = node }, headers);
            return await VolumeAgent.StartAsync(cloud.GrpcPortOf("volume"), cloud.SecretsDirectory, token, made, cloud.SocketPath(node));
        }
    }

    private static async Task<string> CreateVolumeAsync(Wire.Volumes.VolumesClient volumes, Metadata headers)
    {
        var volume = await volumes.CreateVolumeAsync(new Wire.CreateVolumeRequest { SizeBytes = 1L << 30 }, headers);
        await UntilAsync(async () =>
        {
            volume = await volumes.GetVolumeAsync(new Wire.GetVolumeRequest { VolumeId = volume.Id }, headers);
            return volume.Status == Wire.VolumeStatus.Available;
        });
        return volume.Id;
    }

    private static async Task UntilAsync(Func<Task<bool>> reached)
    {
        for (var began = Stopwatch.GetTimestamp(); !await reached(); await Task.Delay(100)) Assert.True(Stopwatch.GetElapsedTime(began) < Patience, "Not reached in time.");
    }
}
