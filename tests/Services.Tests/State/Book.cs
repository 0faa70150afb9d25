using System.Text.Json.Serialization;
using Nephos.Kernel.State;

namespace Nephos.Services.Tests.State;

/// <summary>A record with every kind of index.</summary>
public sealed record Book
{
    public required string Id { get; init; }

    public string? Title { get; init; }

    public string? Shelf { get; init; }

    public IReadOnlyList<string> Barcodes { get; init; } = [];

    public IReadOnlyList<string> Tags { get; init; } = [];
}

public sealed record Counter(string Id, int Used);

[JsonSerializable(typeof(Book))]
[JsonSerializable(typeof(Counter))]
internal sealed partial class LibraryJson : JsonSerializerContext;

internal static class Library
{
    public static TableSchema<Book> Books { get; } = new TableSchema<Book>("library/books", book => book.Id, LibraryJson.Default.Book)
        .Unique("title", book => book.Title)
        .UniqueMany("barcode", book => book.Barcodes)
        .Index("shelf", book => book.Shelf)
        .IndexMany("tag", book => book.Tags);

    public static TableSchema<Counter> Counters { get; } =
        new("library/counters", counter => counter.Id, LibraryJson.Default.Counter);
}
