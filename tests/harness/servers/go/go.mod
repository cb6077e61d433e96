module example.com/notes-go

go 1.19
