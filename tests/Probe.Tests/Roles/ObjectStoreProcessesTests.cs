using System.Diagnostics;
using System.Net;
using Grpc.Core;
using Grpc.Net.Client;
using Xunit;
using Xunit.Abstractions;
using IdentityWire = Nephos.Protos.Identity.V1;
using StorageWire = Nephos.Protos.Storage.V1;

namespace Nephos.Probe.Tests.Roles;

/// <summary>The object store as three storage processes and a face, killed one after the other under load.</summary>
public sealed class ObjectStoreProcessesTests(ITestOutputHelper output)
{
    private const int Stores = 3;

    /// <summary>Much more than a takeover needs, for machines that do other things as well.</summary>
    private static readonly TimeSpan PauseMax = TimeSpan.FromSeconds(30);

    private static readonly TimeSpan HealPatience = TimeSpan.FromMinutes(3);

    [EtcdFact]
    public async Task Killing_one_storage_process_after_the_other_loses_nothing_and_work_goes_on()
    {
        await using var cloud = RoleProcesses.Create("identity", "object");
        var identity = cloud.Start("identity");
        var stores = Enumerable.Range(0, Stores).Select(cloud.StartStore).ToList();
        var front = cloud.Start("object");
        await cloud.WaitUntilReadyAsync("identity", identity);
        await cloud.WaitUntilReadyAsync("object", front);

        using var identityChannel = GrpcChannel.ForAddress($"http://127.0.0.1:{cloud.GrpcPortOf("identity")}");
        var token = await RoleProcessesTests.IssueAsync(identityChannel, cloud.Password("admin"));
        using var channel = GrpcChannel.ForAddress($"http://127.0.0.1:{cloud.GrpcPortOf("object")}");
        var ring = new StorageWire.ObjectRing.ObjectRingClient(channel);
        var headers = new Metadata { { "authorization", $"Bearer {token.Token}" } };
        using var http = new HttpClient
        {
            BaseAddress = new Uri($"http://127.0.0.1:{cloud.RestPortOf("object")}/object/v1/AUTH_{token.Description.Project.Id}/"),
            Timeout = TimeSpan.FromSeconds(15),
        };
        http.DefaultRequestHeaders.Add("X-Auth-Token", token.Token);
        using (var made = await http.PutAsync("load", null))
        {
            Assert.Equal(HttpStatusCode.Created, made.StatusCode);
        }

        var load = new ObjectLoad(http, "load");
        load.Start();
        for (var store = 0; store < Stores; store++)
        {
            await UntilAcknowledgedAsync(load, 100);
            stores[store].Kill();
            await stores[store].WaitForExitAsync();
            await UntilAcknowledgedAsync(load, 100);
            output.WriteLine($"killed {RoleProcesses.StoreName(store)}: longest pause so far {load.LongestPause.TotalSeconds:f1} s, {load.Acknowledged} puts, {load.Read} gets");
            stores[store] = cloud.StartStore(store);
            await UntilSettledAsync(ring, headers);
        }

        await load.StopAsync();
        await load.CheckAllAsync();
        Assert.Empty(load.Wrong);
        Assert.True(load.LongestPause < PauseMax, $"Nothing was done for {load.LongestPause}.");

        // The ring on the running store: a drained device leaves, and comes back. What it missed the deletion of while it was away may stay on it for an hour.
        await ring.SetDeviceWeightAsync(new StorageWire.DeviceWeight { Device = 0, Weight = 0 }, headers);
        await UntilAsync(async () => await ring.GetRingAsync(new StorageWire.GetRingRequest(), headers) is { Settled: true, ReplicasToMove: 0 } status
            && status.Devices.Single(d => d.Device == 0).Replicas == 0);
        await ring.RemoveDeviceAsync(new StorageWire.RemoveDeviceRequest { Device = 0 }, headers);
        await UntilAsync(async () => (await ring.GetRingAsync(new StorageWire.GetRingRequest(), headers)).Devices.All(d => d.Device != 0));
        await load.CheckAllAsync();
        await ring.AddDeviceAsync(new StorageWire.DeviceWeight { Device = 0, Weight = 1 }, headers);
        await UntilAsync(async () => await ring.GetRingAsync(new StorageWire.GetRingRequest(), headers) is { Settled: true, ReplicasToMove: 0 } status
            && status.Devices.Single(d => d.Device == 0).Replicas > 0);
        await load.CheckAllAsync();
        Assert.Empty(load.Wrong);
    }

    private static async Task UntilAcknowledgedAsync(ObjectLoad load, int more)
    {
        var wanted = load.Acknowledged + more;
        await UntilAsync(() => Task.FromResult(load.Acknowledged >= wanted));
    }

    /// <summary>Every copy is in its place again.</summary>
    private static Task UntilSettledAsync(StorageWire.ObjectRing.ObjectRingClient ring, Metadata headers) =>
        UntilAsync(async () => (await ring.GetRingAsync(new StorageWire.GetRingRequest(), headers)).Settled);

    private static async Task UntilAsync(Func<Task<bool>> reached)
    {
        var began = Stopwatch.GetTimestamp();
        while (!await reached())
        {
            Assert.True(Stopwatch.GetElapsedTime(began) < HealPatience, "Not reached in time.");
            await Task.Delay(100);
        }
    }
}
