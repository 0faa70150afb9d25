using Nephos.Kernel.State;
using Xunit;
using static Nephos.Services.Tests.State.Library;

namespace Nephos.Services.Tests.State;

public abstract partial class StateStoreConformance
{
    private static readonly Book Emma = new() { Id = "1", Title = "Emma", Shelf = "A", Barcodes = ["11", "12"], Tags = ["novel", "old"] };
    private static readonly Book Dune = new() { Id = "2", Title = "Dune", Shelf = "B", Barcodes = ["21"], Tags = ["novel"] };

    [StoreFact]
    public async Task A_record_is_found_by_its_key_and_by_each_index()
    {
        await InsertAsync(Emma, Dune);

        Assert.Equivalent(Emma, await Store.GetAsync(Books, "1", None), strict: true);
        Assert.Equal("1", (await Store.FindAsync(Books, "title", "Emma", None))!.Id);
        Assert.Equal("1", (await Store.FindAsync(Books, "barcode", "12", None))!.Id);
        Assert.Null(await Store.FindAsync(Books, "title", "Ulysses", None));
        Assert.Equal(["2"], Ids(await Store.ListByAsync(Books, "shelf", "B", None)));
        Assert.Equal(["1", "2"], Ids(await Store.ListByAsync(Books, "tag", "novel", None)));
        Assert.Equal(["1", "2"], Ids(await Store.ListAsync(Books, "", None)));
        Assert.Equal(["2"], Ids(await Store.ListAsync(Books, "2", None)));
    }

    [StoreFact]
    public async Task Changing_a_record_moves_its_index_entries_and_deleting_it_removes_them()
    {
        await InsertAsync(Emma);

        await Store.TransactAsync(
            async tx =>
            {
                var book = await tx.GetAsync(Books, "1", None);
                tx.Put(Books, book! with { Title = "Emma II", Shelf = null, Barcodes = ["12", "13"], Tags = ["old", "sequel"] });
            },
            None);

        Assert.Null(await Store.FindAsync(Books, "title", "Emma", None));
        Assert.NotNull(await Store.FindAsync(Books, "title", "Emma II", None));
        Assert.Null(await Store.FindAsync(Books, "barcode", "11", None));
        Assert.NotNull(await Store.FindAsync(Books, "barcode", "12", None));
        Assert.Empty(await Store.ListByAsync(Books, "shelf", "A", None));
        Assert.Empty(await Store.ListByAsync(Books, "tag", "novel", None));
        Assert.Single(await Store.ListByAsync(Books, "tag", "sequel", None));

        await Store.TransactAsync(tx => Task.Run(() => tx.Delete(Books, "1")), None);

        Assert.Empty((await Store.ScanAsync("", "", 10, None)).Entries);
    }

    [StoreFact]
    public async Task Index_values_that_look_like_separators_stay_apart()
    {
        await InsertAsync(
            new Book { Id = "x:1", Shelf = "a:b" },
            new Book { Id = "b:x:1", Shelf = "a" },
            new Book { Id = "y", Shelf = "a%3Ab" });

        Assert.Equal(["x:1"], Ids(await Store.ListByAsync(Books, "shelf", "a:b", None)));
        Assert.Equal(["b:x:1"], Ids(await Store.ListByAsync(Books, "shelf", "a", None)));
        Assert.Equal(["y"], Ids(await Store.ListByAsync(Books, "shelf", "a%3Ab", None)));
    }

    [StoreFact]
    public async Task A_taken_unique_value_is_named_and_nothing_is_written()
    {
        await InsertAsync(Emma);

        var violation = await Assert.ThrowsAsync<UniqueViolationException>(() => InsertAsync(Dune with { Title = "Emma" }));

        Assert.Equal(("library/books", "title", "Emma"), (violation.Table, violation.Index, violation.Value));
        Assert.Null(await Store.GetAsync(Books, "2", None));
        Assert.Empty(await Store.ListByAsync(Books, "shelf", "B", None));
    }

    [StoreFact]
    public async Task Inserting_an_existing_key_is_a_violation_of_the_key()
    {
        await InsertAsync(Emma);

        var violation = await Assert.ThrowsAsync<UniqueViolationException>(() => InsertAsync(new Book { Id = "1" }));

        Assert.Equal((UniqueViolationException.KeyIndex, "1"), (violation.Index, violation.Value));
    }

    [StoreFact]
    public async Task Two_records_of_one_transaction_cannot_share_a_unique_value()
    {
        var violation = await Assert.ThrowsAsync<UniqueViolationException>(() => InsertAsync(Emma, Dune with { Barcodes = ["12"] }));

        Assert.Equal(("barcode", "12"), (violation.Index, violation.Value));
    }

    [StoreFact]
    public async Task A_unique_value_can_change_hands_in_one_transaction()
    {
        await InsertAsync(Emma, Dune);

        await Store.TransactAsync(
            async tx =>
            {
                tx.Put(Books, (await tx.GetAsync(Books, "1", None))! with { Title = "Dune" });
                tx.Put(Books, (await tx.GetAsync(Books, "2", None))! with { Title = "Emma" });
            },
            None);
        await Store.TransactAsync(
            async tx =>
            {
                tx.Delete(Books, "1");
                tx.Put(Books, (await tx.FindAsync(Books, "title", "Emma", None))! with { Barcodes = ["11"] });
            },
            None);

        Assert.Equal("2", (await Store.FindAsync(Books, "title", "Emma", None))!.Id);
        Assert.Null(await Store.FindAsync(Books, "title", "Dune", None));
        Assert.Equal("2", (await Store.FindAsync(Books, "barcode", "11", None))!.Id);
    }

    [StoreFact]
    public async Task A_transaction_sees_what_it_wrote()
    {
        await InsertAsync(Emma, Dune);

        await Store.TransactAsync(
            async tx =>
            {
                tx.Insert(Books, new Book { Id = "3", Title = "Ulysses", Shelf = "A" });
                tx.Put(Books, Emma with { Title = "Emma II", Shelf = "C" });
                tx.Delete(Books, "2");

                Assert.Equal("Emma II", (await tx.GetAsync(Books, "1", None))!.Title);
                Assert.Null(await tx.GetAsync(Books, "2", None));
                Assert.Equal(["1", "3"], Ids(await tx.ListAsync(Books, "", None)));
                Assert.Equal(["3"], Ids(await tx.ListByAsync(Books, "shelf", "A", None)));
                Assert.Equal(["1"], Ids(await tx.ListByAsync(Books, "shelf", "C", None)));
                Assert.Empty(await tx.ListByAsync(Books, "shelf", "B", None));
                Assert.Equal("3", (await tx.FindAsync(Books, "title", "Ulysses", None))!.Id);
                Assert.Null(await tx.FindAsync(Books, "title", "Emma", None));
                Assert.Null(await tx.FindAsync(Books, "title", "Dune", None));
            },
            None);

        Assert.Equal(["1", "3"], Ids(await Store.ListAsync(Books, "", None)));
    }

    [StoreFact]
    public async Task A_deleted_record_can_be_inserted_again_in_one_transaction()
    {
        await InsertAsync(Emma);

        await Store.TransactAsync(
            tx =>
            {
                tx.Delete(Books, "1");
                tx.Insert(Books, Emma with { Title = "Emma II" });
                return Task.CompletedTask;
            },
            None);

        Assert.Equal("1", (await Store.FindAsync(Books, "title", "Emma II", None))!.Id);
        Assert.Null(await Store.FindAsync(Books, "title", "Emma", None));
    }

    [StoreFact]
    public async Task A_transaction_runs_again_when_a_record_it_read_has_changed()
    {
        await Store.TransactAsync(tx => Task.Run(() => tx.Insert(Counters, new Counter("c", 1))), None);
        var runs = 0;

        var seen = await Store.TransactAsync(
            async tx =>
            {
                var counter = (await tx.GetAsync(Counters, "c", None))!;
                if (++runs == 1)
                {
                    await SetCounterAsync("c", 5);
                }

                tx.Insert(Counters, new Counter("copy", counter.Used));
                return counter.Used;
            },
            None);

        Assert.Equal((2, 5), (runs, seen));
        Assert.Equal(5, (await Store.GetAsync(Counters, "copy", None))!.Used);
    }

    [StoreFact]
    public async Task A_transaction_runs_again_when_a_record_it_missed_has_appeared()
    {
        var runs = 0;

        await Store.TransactAsync(
            async tx =>
            {
                if (await tx.FindAsync(Books, "title", "Emma", None) is not null)
                {
                    return;
                }

                if (++runs == 1)
                {
                    await InsertAsync(Emma);
                }

                tx.Insert(Books, Dune with { Title = "Emma" });
            },
            None);

        Assert.Equal(1, runs);
        Assert.Equal(["1"], Ids(await Store.ListAsync(Books, "", None)));
    }

    [StoreFact]
    public async Task Deleting_a_parent_found_empty_loses_against_a_child_added_meanwhile()
    {
        await SetCounterAsync("shelf A", 0);
        var raced = false;

        var deleted = await Store.TransactAsync(
            async tx =>
            {
                if ((await tx.ListByAsync(Books, "shelf", "A", None)).Count > 0)
                {
                    return false;
                }

                if (!raced)
                {
                    raced = true;
                    await InsertAsync(Emma);
                }

                tx.Delete(Counters, "shelf A");
                return true;
            },
            None);

        Assert.False(deleted);
        Assert.NotNull(await Store.GetAsync(Counters, "shelf A", None));
    }

    [StoreFact]
    public async Task A_listed_record_is_not_overwritten_when_it_has_changed_meanwhile()
    {
        await InsertAsync(Emma);
        var runs = 0;

        await Store.TransactAsync(
            async tx =>
            {
                var book = (await tx.ListByAsync(Books, "shelf", "A", None)).Single();
                if (++runs == 1)
                {
                    await PutBookAsync(Emma with { Title = "Emma II" });
                }

                tx.Put(Books, book with { Tags = [] });
            },
            None);

        var after = (await Store.GetAsync(Books, "1", None))!;
        Assert.Equal(2, runs);
        Assert.Equal("Emma II", after.Title);
        Assert.Empty(after.Tags);
    }

    [StoreFact]
    public async Task A_transaction_that_always_loses_gives_up()
    {
        var runs = 0;

        var conflict = await Assert.ThrowsAsync<StateConflictException>(() => Store.TransactAsync(
            async tx =>
            {
                var counter = await tx.GetAsync(Counters, "c", None);
                await SetCounterAsync("c", ++runs);
                tx.Put(Counters, new Counter("c", counter?.Used ?? 0));
            },
            None));

        Assert.Equal(StateTransactions.MaxAttempts, runs);
        Assert.Equal(runs, conflict.Attempts);
        Assert.Equal(runs, (await Store.GetAsync(Counters, "c", None))!.Used);
    }

    [StoreFact]
    public async Task Of_many_who_want_the_last_units_of_a_quota_just_as_many_get_one()
    {
        const int Quota = 5, Callers = 24;

        var got = await Task.WhenAll(Enumerable.Range(0, Callers).Select(i => Task.Run(() => Store.TransactAsync(
            async tx =>
            {
                var used = (await tx.GetAsync(Counters, "quota", None))?.Used ?? 0;
                if (used == Quota)
                {
                    return false;
                }

                tx.Put(Counters, new Counter("quota", used + 1));
                tx.Insert(Books, new Book { Id = $"{i:d2}", Shelf = "quota" });
                return true;
            },
            None))));

        Assert.Equal(Quota, got.Count(one => one));
        Assert.Equal(Quota, (await Store.ListByAsync(Books, "shelf", "quota", None)).Count);
        Assert.Equal(Quota, (await Store.GetAsync(Counters, "quota", None))!.Used);
    }

    [StoreFact]
    public async Task Pages_continue_after_the_last_key_even_when_that_was_deleted()
    {
        await InsertAsync([.. Enumerable.Range(0, 5).Select(i => new Book { Id = $"p/{i}" }), new Book { Id = "q" }]);

        var first = await Store.ListPageAsync(Books, "p/", null, 2, None);
        await Store.TransactAsync(tx => Task.Run(() => tx.Delete(Books, first.LastKey!)), None);
        var second = await Store.ListPageAsync(Books, "p/", first.LastKey, 3, None);
        var beyond = await Store.ListPageAsync(Books, "p/", "p/9", 3, None);

        Assert.Equal(["p/0", "p/1"], Ids(first.Items));
        Assert.Equal(["p/2", "p/3", "p/4"], Ids(second.Items));
        Assert.Null(second.LastKey);
        Assert.Empty(beyond.Items);
        Assert.Empty((await Store.ListPageAsync(Books, "p/", "z", 3, None)).Items);
        Assert.Equal(3, (await Store.ListPageAsync(Books, "p/", "a", 3, None)).Items.Count);
    }

    [StoreFact]
    public async Task A_record_and_its_index_entries_vanish_with_their_lease()
    {
        var lease = await Store.GrantLeaseAsync(TimeSpan.FromMinutes(1), None);
        await Store.TransactAsync(tx => Task.Run(() => tx.Insert(Books, Emma, lease)), None);
        Assert.NotNull(await Store.FindAsync(Books, "title", "Emma", None));

        await Store.RevokeLeaseAsync(lease, None);

        Assert.Empty((await Store.ScanAsync("", "", 10, None)).Entries);
    }

    [StoreFact]
    public async Task An_index_that_was_not_declared_is_refused()
    {
        await Assert.ThrowsAsync<ArgumentException>(async () => await Store.FindAsync(Books, "shelf", "A", None));
        await Assert.ThrowsAsync<ArgumentException>(async () => await Store.ListByAsync(Books, "title", "A", None));
    }

    private static IEnumerable<string> Ids(IEnumerable<Book> books) => books.Select(book => book.Id);

    private Task InsertAsync(params Book[] books) => Store.TransactAsync(
        tx =>
        {
            foreach (var book in books)
            {
                tx.Insert(Books, book);
            }

            return Task.CompletedTask;
        },
        None);

    private Task PutBookAsync(Book book) => Store.TransactAsync(tx => Task.Run(() => tx.Put(Books, book)), None);

    private Task SetCounterAsync(string id, int used) =>
        Store.TransactAsync(tx => Task.Run(() => tx.Put(Counters, new Counter(id, used))), None);
}
