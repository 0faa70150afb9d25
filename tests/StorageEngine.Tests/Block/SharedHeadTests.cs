using Nephos.Client.Volumes;
using Nephos.LocalStorage.Block;
using Xunit;

namespace Nephos.StorageEngine.Tests.Block;

/// <summary>Several attachments of one volume by one head.</summary>
public sealed class SharedHeadTests
{
    private static readonly BlockStoreOptions Background =
        BlockDevice.Small with { SegmentBytes = 4 << 20, RunInBackground = true, ApplyIdle = TimeSpan.FromMilliseconds(20) };

    private static OpenedVolume Attachment(ReplicatedVolume volume, string name) => volume.Opened(1) with { AttachmentId = Guid.NewGuid(), ExportName = name };

    private static async Task<(OpenedVolume Opened, string Path)> OpenAsync(ReplicatedVolume volume, string name)
    {
        var opened = Attachment(volume, name);
        var path = Path.Combine(volume.Devices[0].Directory, $"{name}.sock");
        await volume.Heads.OpenAsync(opened, path, CancellationToken.None);
        return (opened, path);
    }

    [Fact]
    public async Task B36_Attachments_under_one_epoch_share_a_head_and_each_has_its_own_token()
    {
        await using var volume = new ReplicatedVolume(Background);
        var (one, two) = (await OpenAsync(volume, "one"), await OpenAsync(volume, "two"));
        using var first = NbdTestClient.Connect(one.Path, "one");
        using var second = NbdTestClient.Connect(two.Path, "two");
        Assert.Equal(0u, first.DoWrite(0, VolumeTesting.Pattern(0, 1, 7)));
        Assert.Equal(7, VolumeTesting.Values(second.DoRead(0, 4096))[0]);
        Assert.Equal(0u, second.DoWrite(0, VolumeTesting.Pattern(0, 1, 8)));
        Assert.Equal(8, VolumeTesting.Values(first.DoRead(0, 4096))[0]);
        using var wrong = new NbdTestClient(two.Path);
        wrong.SendFlags(3);
        Assert.Equal(NbdTestClient.ErrUnknown, wrong.Option(NbdTestClient.Go, NbdTestClient.GoData("one")).Single().Type);
        Assert.Equal(2, volume.Heads.List().Count);
    }

    [Fact]
    public async Task B36_The_end_of_one_attachment_leaves_the_others_connected()
    {
        await using var volume = new ReplicatedVolume(Background);
        var (one, two) = (await OpenAsync(volume, "one"), await OpenAsync(volume, "two"));
        using var first = NbdTestClient.Connect(one.Path, "one");
        using var second = NbdTestClient.Connect(two.Path, "two");
        await volume.Heads.CloseAsync(one.Opened.AttachmentId, CancellationToken.None);
        Assert.True(first.IsClosed());
        Assert.False(File.Exists(one.Path));
        Assert.Equal(0u, second.DoWrite(4096, VolumeTesting.Pattern(1, 1, 9)));
        Assert.Equal(0u, second.Do(NbdTestClient.Flush, 0, 0));
        await volume.Heads.CloseAsync(two.Opened.AttachmentId, CancellationToken.None);
        Assert.Empty(volume.Heads.List());
    }

    [Fact]
    public async Task B36_The_end_of_one_attachment_does_not_wait_for_replicas_that_others_still_wait_for()
    {
        await using var volume = new ReplicatedVolume(Background);
        var (one, two) = (await OpenAsync(volume, "one"), await OpenAsync(volume, "two"));
        using var first = NbdTestClient.Connect(one.Path, "one");
        using var second = NbdTestClient.Connect(two.Path, "two");
        Assert.Equal(0u, second.DoWrite(0, VolumeTesting.Pattern(0, 1, 1)));
        foreach (var index in new[] { 0, 1 }) volume.Ways[index].IsCut = true;
        first.SendRequest(NbdTestClient.Write, 0, 4096, payload: VolumeTesting.Pattern(0, 1, 3));
        second.SendRequest(NbdTestClient.Write, 4096, 4096, payload: VolumeTesting.Pattern(1, 1, 4));
        await volume.Heads.CloseAsync(one.Opened.AttachmentId, CancellationToken.None).WaitAsync(TimeSpan.FromSeconds(30));
        Assert.Equal(two.Opened.AttachmentId, volume.Heads.List().Single().AttachmentId);
        foreach (var index in new[] { 0, 1 }) volume.Ways[index].IsCut = false;
        Assert.Equal(0u, second.ReceiveChunk().Error);
        Assert.Equal(VolumeTesting.Pattern(1, 1, 4), second.DoRead(4096, 4096));
    }

    [Fact]
    public async Task Closing_with_writes_that_can_not_become_durable_does_not_wait_for_ever()
    {
        await using var volume = new ReplicatedVolume(Background);
        var (opened, path) = await OpenAsync(volume, "one");
        using var client = NbdTestClient.Connect(path, "one");
        Assert.Equal(0u, client.DoWrite(0, VolumeTesting.Pattern(0, 1, 1)));
        foreach (var index in new[] { 0, 1 }) volume.Ways[index].IsCut = true;
        await volume.Heads.CloseAsync(opened.AttachmentId, CancellationToken.None).WaitAsync(TimeSpan.FromSeconds(30));
        Assert.Empty(volume.Heads.List());
    }

    [Fact]
    public async Task B36_A_newer_epoch_ends_all_attachments_of_the_older_one()
    {
        await using var volume = new ReplicatedVolume(Background);
        var (one, two) = (await OpenAsync(volume, "one"), await OpenAsync(volume, "two"));
        using var first = NbdTestClient.Connect(one.Path, "one");
        using var second = NbdTestClient.Connect(two.Path, "two");
        await volume.Heads.OpenAsync(volume.Opened(2), volume.SocketPath(2), CancellationToken.None);
        Assert.True(first.IsClosed());
        Assert.True(second.IsClosed());
        Assert.Equal(2, volume.Heads.List().Single().Epoch);
    }

    [Fact]
    public async Task B36_All_attachments_see_a_volume_that_has_grown()
    {
        await using var volume = new ReplicatedVolume(Background);
        var (one, two) = (await OpenAsync(volume, "one"), await OpenAsync(volume, "two"));
        using var first = NbdTestClient.Connect(one.Path, "one");
        using var second = NbdTestClient.Connect(two.Path, "two");
        const long grown = 2L * ReplicatedVolume.Blocks * BlockDevice.Block;
        foreach (var device in volume.Devices) device.Store.ResizeVolume(volume.Id, grown);
        foreach (var opened in new[] { one.Opened, two.Opened }) await volume.Heads.ResizeAsync(opened.AttachmentId, grown, CancellationToken.None);
        Assert.True(first.IsClosed());
        Assert.True(second.IsClosed());
        using var again = NbdTestClient.Connect(two.Path, "two");
        Assert.Equal((ulong)grown, again.Size);
    }
}
