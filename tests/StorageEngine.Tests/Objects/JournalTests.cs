using Nephos.LocalStorage.Objects;
using Xunit;

namespace Nephos.StorageEngine.Tests.Objects;

public sealed class JournalTests : IDisposable
{
    private static readonly Guid Group = new("aaaaaaaa-0000-0000-0000-000000000001");
    private static readonly Guid Other = new("aaaaaaaa-0000-0000-0000-000000000002");
    private static readonly Guid Replica = new("bbbbbbbb-0000-0000-0000-000000000001");
    private readonly TemporaryDirectory _directory = new();
    private Journal? _journal;

    private Journal Journal => _journal ??= Journal.Open(
        new FileMedium(_directory.Path), Guid.Empty, new JournalOptions { SegmentBytes = 9 << 20, SegmentsKept = 2 }, _ => true, TimeProvider.System);

    [Fact]
    public async Task Entries_and_promises_survive_a_restart()
    {
        await Journal.CreateAsync(Group, Replica);
        await Journal.AppendAsync(Group, 3, [Entry(3, 1), Entry(3, 2)]);
        await Journal.AppendAsync(Group, 5, []);
        Reopen();

        var log = Journal.Find(Group)!;
        Assert.Equal((Replica, 5UL, 2UL, 3UL), (log.Replica, log.Promised, log.LastSequence, log.LastEpoch));
        Assert.False(log.IsDamaged);
        Assert.Equal(["3:1", "3:2"], Read(1));
        Assert.Null(Journal.Find(Other));
    }

    [Fact]
    public async Task An_entry_ends_all_that_came_before_it_with_the_same_or_a_greater_sequence()
    {
        await Journal.CreateAsync(Group, Replica);
        await Journal.AppendAsync(Group, 1, [Entry(1, 1), Entry(1, 2), Entry(1, 3)]);
        await Journal.AppendAsync(Group, 2, [Entry(2, 2)]);

        Assert.Equal(["1:1", "2:2"], Read(1));
        Reopen();
        Assert.Equal(["1:1", "2:2"], Read(1));
    }

    [Fact]
    public async Task A_reset_log_begins_after_its_position()
    {
        await Journal.CreateAsync(Group, Replica);
        await Journal.AppendAsync(Group, 1, [Entry(1, 1)]);
        await Journal.ResetAsync(Group, 4, 3, 100);
        await Journal.AppendAsync(Group, 4, [Entry(4, 101)]);
        Reopen();

        var log = Journal.Find(Group)!;
        Assert.Equal((3UL, 100UL, 101UL), (log.TrimmedEpoch, log.TrimmedSequence, log.LastSequence));
        Assert.Equal(["4:101"], Read(101));
        Assert.Empty(Read(1));
    }

    [Fact]
    public async Task Trimmed_segments_are_used_again_and_the_rest_recovers()
    {
        await Journal.CreateAsync(Group, Replica);
        await Journal.CreateAsync(Other, Replica);
        await Journal.AppendAsync(Other, 1, [Entry(1, 1)]);
        ulong sequence = 0;
        for (var round = 0; round < 60; round++)
        {
            await Journal.AppendAsync(Group, 1, [new JournalEntry(1, ++sequence, new byte[1 << 20])]);
            if (Journal.WantsTrim)
            {
                await Journal.TrimAsync(Other, Journal.OldestSegmentEnd(Other));
                await Journal.TrimAsync(Group, Journal.OldestSegmentEnd(Group));
            }
        }

        await Journal.AppendAsync(Other, 1, [Entry(1, 2)]);
        Assert.True(Directory.GetFiles(_directory.Sub("journal")).Length <= 5);
        Reopen();

        var log = Journal.Find(Group)!;
        Assert.False(log.IsDamaged);
        Assert.Equal(60UL, log.LastSequence);
        Assert.InRange(log.TrimmedSequence, 40UL, 59UL);
        Assert.Equal(60 - (int)log.TrimmedSequence, Journal.Read(Group, log.TrimmedSequence + 1, 100, int.MaxValue).Count);
        Assert.False(Journal.Find(Other)!.IsDamaged);
        Assert.Equal(["1:2"], Journal.Read(Other, 2, 10, 1000).Select(Describe));
    }

    [Fact]
    public async Task A_torn_last_write_is_dropped_and_writing_goes_on()
    {
        await Journal.CreateAsync(Group, Replica);
        await Journal.AppendAsync(Group, 1, [Entry(1, 1)]);
        await Journal.AppendAsync(Group, 1, [new JournalEntry(1, 2, Enumerable.Repeat((byte)7, 9000).ToArray()), Entry(1, 3)]);
        Close();
        // Pages: header, creation, entry 1, then entries 2 and 3. The middle of entry 2 did not reach the disk.
        Zero(PageOf(3) + 4096, 4096);

        Assert.False(Journal.Find(Group)!.IsDamaged);
        Assert.Equal(["1:1"], Read(1));
        await Journal.AppendAsync(Group, 2, [Entry(2, 2)]);
        Reopen();
        Assert.False(Journal.Find(Group)!.IsDamaged);
        Assert.Equal(["1:1", "2:2"], Read(1));
    }

    [Fact]
    public async Task A_lost_page_with_later_writes_behind_it_is_noticed_as_damage()
    {
        await Journal.CreateAsync(Group, Replica);
        for (ulong n = 1; n <= 5; n++)
        {
            await Journal.AppendAsync(Group, 1, [Entry(1, n)]);
        }

        Close();
        Zero(PageOf(3), 4096);

        Assert.True(Journal.Find(Group)!.IsDamaged);
    }

    [Fact]
    public async Task Many_groups_share_writes()
    {
        var groups = Enumerable.Range(1, 20).Select(n => new Guid(n, 0, 0, new byte[8])).ToArray();
        foreach (var group in groups)
        {
            await Journal.CreateAsync(group, Replica);
        }

        await Task.WhenAll(groups.Select(g => Task.Run(async () =>
        {
            for (ulong n = 1; n <= 50; n++)
            {
                Assert.Equal(StoreStatus.Ok, await Journal.AppendAsync(g, 1, [Entry(1, n)]));
            }
        })));
        Reopen();

        Assert.All(groups, g => Assert.Equal(50, Journal.Read(g, 1, 100, 100_000).Count));
    }

    public void Dispose()
    {
        _journal?.Dispose();
        _directory.Dispose();
    }

    private static JournalEntry Entry(ulong epoch, ulong sequence) => new(epoch, sequence, BitConverter.GetBytes(sequence));

    private static string Describe(JournalEntry entry) => $"{entry.Epoch}:{entry.Sequence}";

    private IEnumerable<string> Read(ulong from) => Journal.Read(Group, from, 100, 1 << 20).Select(Describe);

    private void Close()
    {
        Journal.Dispose();
        _journal = null;
    }

    private void Reopen() => Close();

    private static long PageOf(int write) => SegmentHeader.HeaderBytes + ((write - 1) * 4096L);

    private void Zero(long offset, int length)
    {
        var file = Directory.GetFiles(_directory.Sub("journal"))
            .Single(f => SegmentHeader.TryRead(File.ReadAllBytes(f), out var header) && header.Id != 0);
        using var handle = File.OpenHandle(file, FileMode.Open, FileAccess.Write);
        RandomAccess.Write(handle, new byte[length], offset);
    }
}
