CREATE TABLE users (
  id INT PRIMARY KEY AUTO_INCREMENT,
  username VARCHAR(50) NOT NULL UNIQUE,
  password_hash VARCHAR(100) NOT NULL,
  role VARCHAR(20) NOT NULL DEFAULT ''
);
INSERT INTO users (id, username, password_hash, role) VALUES
  (42, 'ada', '$2b$10$462gsi3fPjSN2BLD4YPaSe3ynoAZePpA1S6viojAZPmCP3LWZhDiO', 'manager'),
  (7, 'grace', '$2b$10$uBLTjSx9dFQOvjN64UFne..YV2XNiz5woUwWUyJ5P9aQL7iLtetcq', '');
