using Nephos.Compute.Actions;
using Nephos.Compute.Instances;
using Nephos.Kernel.Errors;
using Nephos.Protos.Errors.V1;
using Xunit;

namespace Nephos.Services.Tests.Compute;

/// <summary>Images and backups of a server: what is seen while they are saved, and what follows when they are.</summary>
public sealed class ImageSaveTests : IAsyncLifetime
{
    private static readonly CancellationToken None = CancellationToken.None;
    private static readonly Dictionary<string, string> NoMetadata = [];

    private ComputeWorld _world = null!;
    private string _id = "";

    public async Task InitializeAsync()
    {
        _world = await ComputeWorld.StartWithNodeAsync();
        _id = (await _world.CreateRunningAsync()).Instance.Id;
        _world.Volumes.UploadsQuickly = false;
    }

    public async Task DisposeAsync() => await _world.DisposeAsync();

    [Fact]
    public async Task An_image_that_is_saved_shows_as_task_states_in_order()
    {
        var imageId = await CreateAsync();
        var seen = new List<string?> { await TaskAsync() };
        await _world.SettleAsync(_id);
        seen.Add(await TaskAsync());
        _world.Images.SetStatus(imageId, "saving");
        await _world.SettleAsync(_id);
        seen.Add(await TaskAsync());
        _world.Volumes.EndUpload(imageId, succeeds: true);
        await _world.SettleAsync(_id);
        seen.Add(await TaskAsync());

        Assert.Equal(["image_pending_upload", "image_pending_upload", "image_uploading", null], seen);
        Assert.Equal("Success", (await ActionAsync("createImage")).Events[0].Result);
    }

    [Fact]
    public async Task An_image_that_block_storage_does_not_know_of_yet_is_begun_by_the_reconciler()
    {
        _world.Interference.FailNext("volume.upload");
        await Assert.ThrowsAsync<FaultException>(CreateAsync);
        await _world.SettleAsync(_id);
        Assert.Equal("image_snapshot", await TaskAsync());
        Assert.Empty(_world.Volumes.Uploaded);

        _world.Time.Advance(TimeSpan.FromMinutes(2));
        await _world.Get<Nephos.Compute.Nodes.NodeRegistry>().BeginLeaseAsync("node", "session", None);
        await _world.SettleAsync(_id);

        Assert.Equal("image_pending_upload", await TaskAsync());
        _world.Volumes.EndUpload(Assert.Single(_world.Volumes.Uploaded.Keys), succeeds: true);
        await _world.SettleAsync(_id);
        Assert.Null(await TaskAsync());
    }

    [Fact]
    public async Task A_second_image_and_other_actions_are_refused_while_one_is_saved()
    {
        var imageId = await CreateAsync();

        foreach (var act in new Func<Task>[] { CreateAsync, () => BackupAsync("again", 1), () => _world.Instances.StopAsync(ComputeWorld.User, _id, None) })
        {
            var fault = await Assert.ThrowsAsync<FaultException>(act);
            Assert.Equal(ErrorReason.InstanceInvalidState, fault.Reason);
            Assert.Contains("task_state image_pending_upload", fault.Message, StringComparison.Ordinal);
        }
        _world.Volumes.EndUpload(imageId, succeeds: true);
        await _world.SettleAsync(_id);
        await CreateAsync();
    }

    [Fact]
    public async Task An_image_that_cannot_be_begun_is_an_error_of_the_call_and_leaves_the_server_free()
    {
        _world.Interference.FailNext("volume.upload", Faults.Conflict("The disk is busy."));

        Assert.Contains("busy", (await Assert.ThrowsAsync<FaultException>(CreateAsync)).Message, StringComparison.Ordinal);

        Assert.Null(await TaskAsync());
        var action = await ActionAsync("createImage");
        Assert.Equal(("Error", "The disk is busy."), (action.Events[0].Result!, action.Message!));
    }

    [Fact]
    public async Task An_image_that_gets_no_content_ends_its_action_with_an_error()
    {
        var imageId = await CreateAsync();
        _world.Volumes.EndUpload(imageId, succeeds: false);
        await _world.SettleAsync(_id);

        Assert.Null(await TaskAsync());
        Assert.Equal("Error", (await ActionAsync("createImage")).Events[0].Result);
    }

    [Fact]
    public async Task The_oldest_backup_goes_only_when_the_new_one_is_saved()
    {
        foreach (var name in new[] { "one", "two" })
        {
            _world.Volumes.EndUpload((await BackupAsync(name, 2))!, succeeds: true);
            await _world.SettleAsync(_id);
        }
        var third = await BackupAsync("three", 2);
        await _world.SettleAsync(_id);
        Assert.Equal(["one", "three", "two"], Names());

        _world.Volumes.EndUpload(third!, succeeds: true);
        await _world.SettleAsync(_id);

        Assert.Equal(["three", "two"], Names());
    }

    [Fact]
    public async Task A_backup_that_gets_no_content_takes_no_older_one_away()
    {
        _world.Volumes.EndUpload((await BackupAsync("one", 1))!, succeeds: true);
        await _world.SettleAsync(_id);
        _world.Volumes.EndUpload((await BackupAsync("two", 1))!, succeeds: false);
        await _world.SettleAsync(_id);

        Assert.Equal(["one"], Names());
        Assert.Null(await BackupAsync("none", 0));
        Assert.Empty(Names());
    }

    [Fact]
    public async Task A_backup_that_is_not_begun_shows_as_image_backup()
    {
        _world.Interference.FailNext("volume.upload");
        await Assert.ThrowsAsync<FaultException>(() => BackupAsync("one", 1));

        Assert.Equal("image_backup", await TaskAsync());
    }

    [Fact]
    public async Task A_server_is_deleted_while_an_image_of_it_is_saved()
    {
        await CreateAsync();
        await _world.Instances.DeleteAsync(ComputeWorld.User, _id, None);
        await _world.SettleAsync(_id);

        Assert.NotNull((await _world.ReadAsync(_id)).Instance.DeletedAt);
    }

    private Task<string> CreateAsync() => _world.Instances.CreateImageAsync(ComputeWorld.User, _id, "image", NoMetadata, None);

    private Task<string?> BackupAsync(string name, int rotation) =>
        _world.Instances.CreateBackupAsync(ComputeWorld.User, _id, name, "daily", rotation, NoMetadata, None);

    private async Task<string?> TaskAsync() => (await _world.ReadAsync(_id)).View.TaskState;

    private async Task<InstanceAction> ActionAsync(string action) =>
        (await _world.Get<ActionReader>().ListAsync(ComputeWorld.User, _id, None)).First(item => item.Action == action);

    private List<string> Names() => [.. _world.Images.Images.Values.Where(image => image.Visibility == "private").Select(image => image.Name).Order()];
}
