using System.Text;
using Nephos.LocalStorage.Objects;
using Xunit;

namespace Nephos.StorageEngine.Tests.Objects;

public sealed class IndexDatabaseTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    [Fact]
    public void What_was_flushed_survives_and_says_its_position()
    {
        using (var database = Open("a"))
        {
            database.Apply(1, Batch(b => b.Put("a"u8, "1"u8)), 1, 1);
            database.Flush();
            database.Apply(1, Batch(b => b.Put("b"u8, "2"u8)), 1, 2);
            Assert.Equal((1UL, 2UL), database.Applied(1));
            Assert.Equal((1UL, 1UL), database.AppliedDurably(1));
        }
    }

    [Fact]
    public void Batches_put_delete_and_delete_ranges()
    {
        using var database = Open("a");
        database.Apply(1, Batch(b => { b.Put("a"u8, "1"u8); b.Put("b"u8, "2"u8); b.Put("c"u8, "3"u8); b.Put("d"u8, new byte[5000]); }), 1, 1);
        database.Apply(2, Batch(b => b.Put("a"u8, "other"u8)), 1, 1);
        database.Apply(1, Batch(b => { b.Delete("a"u8); b.DeleteRange("b"u8, "d"u8); }), 1, 2);

        Assert.Equal(["d"], Keys(database, 1));
        Assert.Equal(5000, database.Get(1, "d"u8)!.Length);
        Assert.Equal("other"u8.ToArray(), database.Get(2, "a"u8));
    }

    [Fact]
    public void Cursors_walk_one_group_both_ways()
    {
        using var database = Open("a");
        foreach (var group in (uint[])[1, 2, 3])
        {
            database.Apply(group, Batch(b => { b.Put("a"u8, "1"u8); b.Put("b"u8, "1"u8); b.Put("c"u8, "1"u8); }), 1, 1);
        }

        Assert.Equal(["a", "b", "c"], Keys(database, 2));
        using var cursor = database.OpenCursor(2);
        cursor.SeekBefore("c"u8);
        Assert.Equal("b", Encoding.UTF8.GetString(cursor.Key));
        cursor.Previous();
        Assert.Equal("a", Encoding.UTF8.GetString(cursor.Key));
        cursor.Seek("d"u8);
        Assert.False(cursor.IsValid);
    }

    [Fact]
    public void A_copy_replaces_everything_the_group_had_and_nothing_else()
    {
        using var source = Open("a");
        using var target = Open("b");
        source.Apply(1, Batch(b => { b.Put("x"u8, "1"u8); b.Put("y"u8, new byte[3000]); }), 7, 42);
        target.Apply(1, Batch(b => b.Put("old"u8, "1"u8)), 1, 1);
        target.Apply(2, Batch(b => b.Put("kept"u8, "1"u8)), 1, 1);

        target.Clear(1);
        using (var copy = source.OpenCopy(1))
        {
            source.Apply(1, Batch(b => b.Put("late"u8, "1"u8)), 7, 43);
            for (var page = copy.Next(bytes: 1); !page.IsEmpty; page = copy.Next(bytes: 1))
            {
                target.Take(1, page.Span);
            }

            target.EndTake(1, copy.Position.Epoch, copy.Position.Sequence);
        }

        Assert.Equal(["x", "y"], Keys(target, 1));
        Assert.Equal(["kept"], Keys(target, 2));
        Assert.Equal((7UL, 42UL), target.AppliedDurably(1));
    }

    public void Dispose() => _directory.Dispose();

    private static ReadOnlySpan<byte> Batch(Action<IndexBatch> fill)
    {
        var batch = new IndexBatch();
        fill(batch);
        return batch.WrittenMemory.Span;
    }

    private static List<string> Keys(IndexDatabase database, uint group)
    {
        var keys = new List<string>();
        using var cursor = database.OpenCursor(group);
        for (cursor.Seek([1]); cursor.IsValid; cursor.Next())
        {
            keys.Add(Encoding.UTF8.GetString(cursor.Key));
        }

        return keys;
    }

    private IndexDatabase Open(string name) => new(new FileMedium(_directory.Path), name, new IndexDatabaseOptions());
}
