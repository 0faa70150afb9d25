using System.Text.Json.Nodes;
using Grpc.Core;
using Xunit;
using Wire = Nephos.Protos.BlockStorage.V1;

namespace Nephos.Services.Tests.BlockStorage;

/// <summary>The calls as clients make them: paths, status codes, and the keys of what comes back.</summary>
public sealed class CinderContractTests(BlockStorageHost host) : IClassFixture<BlockStorageHost>
{
    private static string[] Keys(JsonNode? node) => [.. node!.AsObject().Select(item => item.Key).Order(StringComparer.Ordinal)];

    private async Task<string> MakeVolumeAsync(string caller = "alice", string more = "")
    {
        var (status, body) = await host.CallAsync(caller, HttpMethod.Post, "volumes", $$$"""{"volume":{"size":1,"name":"v"{{{more}}}}}""");
        Assert.Equal(202, status);
        var id = (string)body!["volume"]!["id"]!;
        await host.WaitAsync(caller, $"volumes/{id}", "volume", "available");
        return id;
    }

    [Fact]
    public async Task A_backup_is_made_shown_restored_exported_and_deleted()
    {
        var volume = await MakeVolumeAsync();
        var (status, body) = await host.CallAsync("alice", HttpMethod.Post, "backups", $$$"""{"backup":{"volume_id":"{{{volume}}}","name":"b"}}""");
        Assert.Equal((202, "id links metadata name"), (status, string.Join(' ', Keys(body!["backup"]))));
        var id = (string)body["backup"]!["id"]!;
        var shown = await host.WaitAsync("alice", $"backups/{id}", "backup", "available");
        Assert.Equal(
            "availability_zone container created_at data_timestamp description fail_reason has_dependent_backups id is_incremental links metadata name " +
            "object_count size snapshot_id status updated_at user_id volume_id",
            string.Join(' ', Keys(shown)));
        Assert.Equal(404, (await host.CallAsync("bob", HttpMethod.Get, $"backups/{id}")).Status);
        Assert.Equal(400, (await host.CallAsync("alice", HttpMethod.Post, "backups", """{"backup":{"volume_id":7}}""")).Status);
        (status, body) = await host.CallAsync("alice", HttpMethod.Post, $"backups/{id}/restore", """{"restore":{"name":"r"}}""");
        Assert.Equal((202, "r"), (status, (string?)body!["restore"]!["volume_name"]));
        await host.WaitAsync("alice", $"volumes/{(string)body["restore"]!["volume_id"]!}", "volume", "available");
        Assert.Equal(403, (await host.CallAsync("alice", HttpMethod.Get, $"backups/{id}/export_record")).Status);
        (status, body) = await host.CallAsync("admin", HttpMethod.Get, $"backups/{id}/export_record");
        Assert.Equal((200, "backup_service backup_url"), (status, string.Join(' ', Keys(body!["backup-record"]))));
        Assert.Equal(202, (await host.CallAsync("alice", HttpMethod.Delete, $"backups/{id}")).Status);
    }

    [Fact]
    public async Task A_watch_of_backups_tells_what_there_is_and_what_becomes_of_it()
    {
        var backups = new Wire.Backups.BackupsClient(host.Grpc);
        var volume = await MakeVolumeAsync("bob");
        using var ending = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        using var watch = backups.WatchBackups(new Wire.WatchBackupsRequest(), BlockStorageHost.As("bob").WithCancellationToken(ending.Token));
        Assert.True(await watch.ResponseStream.MoveNext(ending.Token));
        Assert.True(watch.ResponseStream.Current.Synced);
        var made = await backups.CreateBackupAsync(new Wire.CreateBackupRequest { VolumeId = volume, IdempotencyKey = "k" }, BlockStorageHost.As("bob"));
        var again = await backups.CreateBackupAsync(new Wire.CreateBackupRequest { VolumeId = volume, IdempotencyKey = "k" }, BlockStorageHost.As("bob"));
        Assert.Equal(made.Id, again.Id);
        while (watch.ResponseStream.Current.Changed?.Status != Wire.BackupStatus.Available) Assert.True(await watch.ResponseStream.MoveNext(ending.Token));
        await backups.DeleteBackupAsync(new Wire.DeleteBackupRequest { BackupId = made.Id }, BlockStorageHost.As("bob"));
        while (watch.ResponseStream.Current.Deleted != made.Id) Assert.True(await watch.ResponseStream.MoveNext(ending.Token));
    }

    [Fact]
    public async Task Qos_specs_are_for_administrators_and_hold_for_types()
    {
        Assert.Equal(403, (await host.CallAsync("alice", HttpMethod.Get, "qos-specs")).Status);
        var (status, body) = await host.CallAsync("admin", HttpMethod.Post, "qos-specs", """{"qos_specs":{"name":"q","consumer":"front-end","total_iops_sec":"9"}}""");
        Assert.Equal((200, "consumer id name specs"), (status, string.Join(' ', Keys(body!["qos_specs"]))));
        var id = (string)body["qos_specs"]!["id"]!;
        (_, body) = await host.CallAsync("admin", HttpMethod.Post, "types", """{"volume_type":{"name":"limited"}}""");
        var type = (string)body!["volume_type"]!["id"]!;
        Assert.Equal(202, (await host.CallAsync("admin", HttpMethod.Get, $"qos-specs/{id}/associate?vol_type_id={type}")).Status);
        (_, body) = await host.CallAsync("admin", HttpMethod.Get, $"types/{type}");
        Assert.Equal(id, (string?)body!["volume_type"]!["qos_specs_id"]);
        Assert.Equal(400, (await host.CallAsync("admin", HttpMethod.Delete, $"qos-specs/{id}")).Status);
        Assert.Equal(202, (await host.CallAsync("admin", HttpMethod.Delete, $"qos-specs/{id}?force=true")).Status);
    }

    [Fact]
    public async Task B39_A_type_with_encryption_makes_volumes_that_say_so()
    {
        var (_, body) = await host.CallAsync("admin", HttpMethod.Post, "types", """{"volume_type":{"name":"sealed"}}""");
        var type = (string)body!["volume_type"]!["id"]!;
        const string wanted = """{"encryption":{"provider":"luks","cipher":"aes-xts-plain64","key_size":256,"control_location":"front-end"}}""";
        Assert.Equal(200, (await host.CallAsync("admin", HttpMethod.Post, $"types/{type}/encryption", wanted)).Status);
        var volume = await MakeVolumeAsync(more: ",\"volume_type\":\"sealed\"");
        (_, body) = await host.CallAsync("alice", HttpMethod.Get, $"volumes/{volume}");
        Assert.True((bool)body!["volume"]!["encrypted"]!);
        (_, body) = await host.CallAsync("alice", HttpMethod.Get, $"volumes/{volume}/encryption");
        Assert.Equal("cipher control_location encryption_key_id key_size provider", string.Join(' ', Keys(body)));
        Assert.Equal(256, (int)body!["key_size"]!);
        Assert.Equal(404, (await host.CallAsync("alice", HttpMethod.Get, $"volumes/{volume}/encryption/key")).Status);
        (_, body) = await host.CallAsync("alice", HttpMethod.Get, $"volumes/{await MakeVolumeAsync()}/encryption");
        Assert.Null(body!["encryption_key_id"]);
        Assert.Equal(400, (await host.CallAsync("admin", HttpMethod.Delete, $"types/{type}/encryption/{type}")).Status);
    }

    [Fact]
    public async Task Groups_and_their_snapshots_have_the_keys_of_their_versions()
    {
        var (status, body) = await host.CallAsync("admin", HttpMethod.Post, "group_types", """{"group_type":{"name":"kind"}}""");
        Assert.Equal(202, status);
        var kind = (string)body!["group_type"]!["id"]!;
        (_, body) = await host.CallAsync("alice", HttpMethod.Get, "types/default");
        var type = (string)body!["volume_type"]!["id"]!;
        (status, body) = await host.CallAsync("alice", HttpMethod.Post, "groups", $$$"""{"group":{"name":"g","group_type":"{{{kind}}}","volume_types":["{{{type}}}"]}}""");
        Assert.Equal((202, "id name"), (status, string.Join(' ', Keys(body!["group"]))));
        var group = (string)body["group"]!["id"]!;
        Assert.Equal(404, (await host.CallAsync("alice", HttpMethod.Get, $"groups/{group}", version: "3.12")).Status);
        await MakeVolumeAsync(more: $",\"group_id\":\"{group}\"");
        (status, body) = await host.CallAsync("alice", HttpMethod.Post, "group_snapshots", $$$"""{"group_snapshot":{"group_id":"{{{group}}}","name":"s"}}""");
        Assert.Equal((202, "group_type_id id name"), (status, string.Join(' ', Keys(body!["group_snapshot"]))));
        var snapshot = (string)body["group_snapshot"]!["id"]!;
        var shown = await host.WaitAsync("alice", $"group_snapshots/{snapshot}", "group_snapshot", "available");
        Assert.Equal("created_at description group_id group_type_id id name status", string.Join(' ', Keys(shown)));
        Assert.Equal(400, (await host.CallAsync("alice", HttpMethod.Post, $"groups/{group}/action", """{"delete":{"delete-volumes":true}}""")).Status);
        Assert.Equal(202, (await host.CallAsync("alice", HttpMethod.Delete, $"group_snapshots/{snapshot}")).Status);
    }

    [Fact]
    public async Task A_volume_goes_to_another_project_by_transfer()
    {
        var volume = await MakeVolumeAsync();
        var (status, body) = await host.CallAsync("alice", HttpMethod.Post, "volume-transfers", $$$"""{"transfer":{"volume_id":"{{{volume}}}"}}""");
        Assert.Equal(
            (202, "accepted auth_key created_at destination_project_id id links name no_snapshots source_project_id volume_id"),
            (status, string.Join(' ', Keys(body!["transfer"]))));
        var (id, key) = ((string)body["transfer"]!["id"]!, (string)body["transfer"]!["auth_key"]!);
        Assert.Equal(404, (await host.CallAsync("alice", HttpMethod.Get, $"volume-transfers/{id}", version: "3.54")).Status);
        (status, _) = await host.CallAsync("bob", HttpMethod.Post, $"volume-transfers/{id}/accept", $$$"""{"accept":{"auth_key":"{{{key}}}"}}""");
        Assert.Equal(202, status);
        Assert.Equal(200, (await host.CallAsync("bob", HttpMethod.Get, $"volumes/{volume}")).Status);
        Assert.Equal(404, (await host.CallAsync("alice", HttpMethod.Get, $"volumes/{volume}")).Status);
    }

    [Fact]
    public async Task Types_are_changed_and_services_switched_by_those_who_may()
    {
        await host.CallAsync("admin", HttpMethod.Post, "types", """{"volume_type":{"name":"other"}}""");
        var volume = await MakeVolumeAsync();
        Assert.Equal(202, (await host.CallAsync("alice", HttpMethod.Post, $"volumes/{volume}/action", """{"os-retype":{"new_type":"other","migration_policy":"never"}}""")).Status);
        Assert.Equal("other", (string?)(await host.CallAsync("alice", HttpMethod.Get, $"volumes/{volume}")).Body!["volume"]!["volume_type"]);
        Assert.Equal(403, (await host.CallAsync("alice", HttpMethod.Get, "os-services")).Status);
        Assert.Equal(404, (await host.CallAsync("admin", HttpMethod.Put, "os-services/disable", """{"host":"nowhere","binary":"cinder-volume"}""")).Status);
        var (_, body) = await host.CallAsync("admin", HttpMethod.Get, "os-services?binary=cinder-volume");
        var name = (string)body!["services"]![0]!["host"]!;
        (_, body) = await host.CallAsync("admin", HttpMethod.Get, $"os-hosts/{name}");
        Assert.Equal("(total)", (string?)body!["host"]![0]!["resource"]!["project"]);
        (_, body) = await host.CallAsync("alice", HttpMethod.Get, "resource_filters?resource=backup");
        Assert.Equal("backup", (string?)body!["resource_filters"]![0]!["resource"]);
        Assert.Empty((await host.CallAsync("admin", HttpMethod.Get, "clusters")).Body!["clusters"]!.AsArray());
    }
}
